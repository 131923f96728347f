// A real server of OAuth 2.0 (oidc-provider) and a CRM behind it that takes leads with its tokens alone; run by
// tests/delivery/test_token_provider.py. Prints its address and a refresh token, as JSON, and then the leads it took.
import { createServer } from 'node:http'
import { once } from 'node:events'
import { Provider } from 'oidc-provider'

const leads = []
const server = createServer()
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const root = `http://127.0.0.1:${server.address().port}`

const provider = new Provider(root, {
  clients: ['client_secret_post', 'client_secret_basic'].map((method) => ({
    client_id: method,
    client_secret: process.env.SECRET,
    grant_types: ['client_credentials', 'refresh_token', 'authorization_code'],
    redirect_uris: [`${root}/back`],
    token_endpoint_auth_method: method,
  })),
  features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  rotateRefreshToken: true,
  scopes: ['leads', 'openid', 'offline_access'],
  ttl: { AccessToken: 3600, ClientCredentials: 3600, RefreshToken: 86400, Grant: 86400 },
})

async function refreshToken(id) {
  const grant = new provider.Grant({ accountId: 'asha', clientId: id })
  grant.addOIDCScope('openid offline_access')
  const client = await provider.Client.find(id)
  const token = new provider.RefreshToken({
    accountId: 'asha', client, grantId: await grant.save(), gty: 'authorization_code', scope: 'openid offline_access',
  })
  return token.save()
}

async function takeLead(request, response) {
  const token = (request.headers.authorization ?? '').replace('Bearer ', '')
  const found = (await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token))
  if (!found?.isValid) return response.writeHead(401).end('{"error": "invalid_token"}')
  if (request.url === '/forget') {
    await found.destroy()
    return response.writeHead(204).end()
  }
  leads.push({ by: found.clientId, kind: found.kind })
  return response.writeHead(201, { 'Content-Type': 'application/json' }).end(JSON.stringify({ id: leads.length, leads }))
}

const oauth = provider.callback()
server.on('request', (request, response) => {
  if (['/leads', '/forget'].includes(request.url)) return takeLead(request, response)
  return oauth(request, response)
})
console.log(JSON.stringify({ root, refresh: await refreshToken('client_secret_post') }))
process.stdin.on('close', () => process.exit()).resume()

// A real provider of OpenID Connect (oidc-provider), with its own pages for signing in; run by
// tests/browser/test_openid_provider.py. Whoever signs in has the address that they type. Prints its address.
import { createServer } from 'node:http'
import { once } from 'node:events'
import { Provider } from 'oidc-provider'

const server = createServer()
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const root = `http://127.0.0.1:${server.address().port}`

const provider = new Provider(root, {
  clients: [{ client_id: 'desk', client_secret: process.env.SECRET, redirect_uris: [process.env.BACK] }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  findAccount: (_, accountId) => ({
    accountId,
    claims: () => ({ sub: accountId, email: accountId, email_verified: !accountId.startsWith('unverified') }),
  }),
  pkce: { required: () => true },
})
server.on('request', provider.callback())
console.log(root)
process.stdin.on('close', () => process.exit()).resume()

"""How a server and its replicas are set where durability depends on it, as far as they tell."""

import re
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from service.store.server.connection import connect_beside
from service.store.server.health import FAILURES, Finding, durability_of, lack_of_replicas

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.connection import Connection

_DURABILITY = ("appendonly", "appendfsync", "maxmemory-policy", "no-appendfsync-on-rewrite")


async def settings_of(client: "Redis", connection: "Connection | None" = None) -> dict[str, str] | None:
    """Return the settings that durability depends on, None where CONFIG is forbidden, as at managed servers.

    They are asked for on this connection, else on any.
    """
    try:
        if connection is None:
            settings = await client.config_get(*_DURABILITY)
        else:
            await connection.send_command("CONFIG GET", *_DURABILITY)
            settings = await client.parse_response(connection, "CONFIG GET")
    except ResponseError:
        return None
    return {str(name): str(value) for name, value in settings.items()}


async def findings_of_replicas(client: "Redis", info: dict[str, Any], wanted: int) -> list[Finding]:
    """Look at each replica that the server names in its INFO; so many are wanted."""
    named = [value for name, value in info.items() if re.fullmatch(r"slave\d+", name) and isinstance(value, dict)]
    found = [lacking] if (lacking := lack_of_replicas(len(named), wanted)) else []
    for server in named:
        address = f"{server['ip']}:{server['port']}"
        replica = connect_beside(client, str(server["ip"]), int(server["port"]))
        try:
            findings = durability_of(await replica.info("everything"), await settings_of(replica))
        except FAILURES:
            found.append(Finding("unknown", f"The replica at {address} cannot be asked whether it is durable."))
        else:
            found += [Finding(bad.level, f"The replica at {address}: {bad.sentence}") for bad in findings]
        finally:
            await replica.aclose()
    return found

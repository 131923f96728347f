"""The floor: the same servers and client libraries with none of our code, behind the same two words.

`serve` is one Starlette route that reads the body and runs one script of two writes; `work` is eight tasks that post
the same 600 bytes to the CRM again and again.
"""

import argparse
import asyncio
import os

BARE_SCRIPT = "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) return redis.call('INCR', KEYS[2])"
AT_ONCE = 8


def serve(port: int) -> None:
    """Serve the route, and `/healthz`."""
    import uvicorn  # noqa: PLC0415 -- the other half of this program does without
    from redis.asyncio import BlockingConnectionPool, Redis  # noqa: PLC0415 -- only a server needs it
    from starlette.applications import Starlette  # noqa: PLC0415 -- only a server needs it
    from starlette.requests import Request  # noqa: PLC0415 -- only a server needs it
    from starlette.responses import JSONResponse  # noqa: PLC0415 -- only a server needs it
    from starlette.routing import Route  # noqa: PLC0415 -- only a server needs it

    redis = Redis(
        connection_pool=BlockingConnectionPool.from_url(
            os.environ["LEADS_REDIS_URL"], max_connections=32, decode_responses=True
        )
    )
    sha = ""

    async def post(request: Request) -> JSONResponse:
        nonlocal sha
        sha = sha or await redis.script_load(BARE_SCRIPT)
        posted = await request.body()
        count = await redis.evalsha(sha, 2, "bare:{1}:hash", "bare:{1}:count", posted[:40], posted)
        return JSONResponse({"ok": True, "count": count})

    async def healthz(_: Request) -> JSONResponse:
        return JSONResponse({"ok": True})

    routes = [Route("/f/get-in-touch", post, methods=["POST"]), Route("/healthz", healthz)]
    uvicorn.run(
        Starlette(routes=routes),
        host="127.0.0.1", port=port, lifespan="off", access_log=False, log_level="critical", server_header=False,
        proxy_headers=False,
    )  # fmt: skip


async def work() -> None:
    """Post until somebody ends it."""
    import httpx  # noqa: PLC0415 -- the other half of this program does without

    async def post(client: httpx.AsyncClient) -> None:
        while True:
            await client.post(os.environ["BENCH_CRM"], content=b"x" * 600)

    async with httpx.AsyncClient(trust_env=False) as client:
        await asyncio.gather(*(post(client) for _ in range(AT_ONCE)))


if __name__ == "__main__":
    words = argparse.ArgumentParser()
    words.add_argument("command", choices=["serve", "work"])
    words.add_argument("--port", type=int)
    told = words.parse_args()
    if told.command == "serve":
        serve(told.port)
    else:
        asyncio.run(work())

# SPDX-License-Identifier: Apache-2.0
# abi-needs: /usr/bin/python3
"""CPython's asyncio: tasks, subprocesses, threads."""

import asyncio


async def countdown(name: str, n: int) -> str:
    for _ in range(n):
        await asyncio.sleep(0.001)
    return f"{name} done"


async def main() -> None:
    print(await asyncio.gather(countdown("a", 3), countdown("b", 1)))
    process = await asyncio.create_subprocess_exec("echo", "async", stdout=asyncio.subprocess.PIPE)
    print((await process.communicate())[0], process.returncode)
    loop = asyncio.get_running_loop()
    print(await loop.run_in_executor(None, sum, range(100)))


asyncio.run(main())

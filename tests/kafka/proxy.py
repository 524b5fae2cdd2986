"""A proxy before a broker that holds frames, drops connections, and delivers frames after their client has gone."""

from __future__ import annotations

import asyncio
import contextlib
import threading

PRODUCE, END_TXN = 0, 26


class Proxy:
    """`fate(api_key)` is asked for each request.

    `pass`, `hold` (a while), `cut` (undelivered, connection closed), `lose` (delivered, answer lost, connection closed)
    or `late` (connection closed, delivered after `late_seconds`).
    """

    def __init__(self, port, target, fate, *, hold_seconds=0.3, late_seconds=1.0):
        self.port, self.target, self.fate = port, target, fate
        self.hold_seconds, self.late_seconds = hold_seconds, late_seconds
        self.done = {}
        self._loop = asyncio.new_event_loop()
        self._tasks = set()
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(10)

    def _serve(self, started):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._client, "127.0.0.1", self.port))
        started.set()
        self._loop.run_forever()

    def stop(self):
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _end(self):
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _client(self, reader, writer):
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        answers = self._keep(self._answers(up_reader, writer))
        try:
            while True:
                head = await reader.readexactly(4)
                frame = head + await reader.readexactly(int.from_bytes(head, "big"))
                fate = self.fate(int.from_bytes(frame[4:6], "big"))
                self.done[fate] = self.done.get(fate, 0) + 1
                if fate == "hold":
                    await asyncio.sleep(self.hold_seconds)
                elif fate == "late":
                    answers.cancel()
                    self._keep(self._late(frame, up_reader, up_writer))
                    writer.close()
                    return
                elif fate in ("cut", "lose"):
                    answers.cancel()
                    if fate == "lose":
                        up_writer.write(frame)
                        await up_writer.drain()
                    writer.close()
                    up_writer.close()
                    return
                up_writer.write(frame)
                await up_writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            up_writer.close()
            writer.close()

    async def _answers(self, up_reader, writer):
        with contextlib.suppress(OSError):
            while data := await up_reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _late(self, frame, up_reader, up_writer):
        await asyncio.sleep(self.late_seconds)
        with contextlib.suppress(OSError):
            up_writer.write(frame)
            await up_writer.drain()
            await asyncio.wait_for(up_reader.read(65_536), 5)
        up_writer.close()

    def _keep(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

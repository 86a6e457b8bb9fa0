"""The body lane: large bodies go from the socket to their file around ASGI.

    uvicorn --http wherry.lane:LaneProtocol application:app

An ASGI server copies each body through the event loop in many small messages. Under
`LaneProtocol`, `body_of` (`protocols/bodies/`) takes a large body from the connection itself, and
threads with large buffers of their own read it.

    protocol    one connection: offers its body, and goes on with the next request behind it
    body        one body that was taken, as the engine sees it
    reading     what a thread does: from the socket into a buffer, from the buffer to the sink
    readers     the threads, and how they wait for sockets
    socket_memory   how much of it the kernel holds meanwhile
"""

from wherry.lane.protocol import LaneProtocol

__all__ = ["LaneProtocol"]

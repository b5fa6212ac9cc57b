"""Sockets that the endpoint listens on."""

import socket
from contextlib import closing

from serving.api.listening import listening


def test_an_answer_is_sent_at_once_not_when_the_client_has_acknowledged_its_head() -> None:
    with (
        listening("127.0.0.1", 0) as (opened, _),
        closing(socket.create_connection(opened.getsockname())),
        closing(opened.accept()[0]) as taken,
    ):
        assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1

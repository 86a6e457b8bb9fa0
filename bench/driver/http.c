#define _GNU_SOURCE
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A slow client sends pieces of this size: about three packets of a real network. */
#define PIECE 4096
#define SOCKET_TIMEOUT 60

int connect_to(struct connection *connection, char *problem, size_t room) {
    if (connection->socket >= 0)
        return 0;
    int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    struct timeval limit = {.tv_sec = SOCKET_TIMEOUT};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(connection->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(made, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (made < 0 || connect(made, (struct sockaddr *)&address, sizeof address) != 0) {
        snprintf(problem, room, "cannot connect: %s", strerror(errno));
        close(made);
        return -1;
    }
    connection->socket = made;
    connection->begin = connection->end = 0;
    return 0;
}

void disconnect(struct connection *connection) {
    if (connection->socket >= 0)
        close(connection->socket);
    connection->socket = -1;
}

static int send_text(int to, const char *text, int flags) {
    size_t left = strlen(text);
    while (left > 0) {
        ssize_t sent = send(to, text, left, flags | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        text += sent;
        left -= (size_t)sent;
    }
    return 0;
}

static int send_bytes(int to, const struct body *body) {
    off_t at = body->offset, end = body->offset + (off_t)body->length;
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    while (at < end) {
        size_t wanted = (size_t)(end - at);
        if (body->rate > 0) {
            if (wanted > PIECE)
                wanted = PIECE;
            due.tv_nsec += (long)(wanted * 1e9 / (double)body->rate);
            due.tv_sec += due.tv_nsec / 1000000000L;
            due.tv_nsec %= 1000000000L;
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        }
        while (wanted > 0) {
            ssize_t sent = sendfile(to, body->file, &at, wanted);
            if (sent < 0 && errno == EINTR)
                continue;
            if (sent <= 0)
                return -1;
            wanted -= (size_t)sent;
        }
    }
    return 0;
}

/* The next byte of the answer, or -1. */
static int next(struct connection *connection) {
    while (connection->begin == connection->end) {
        ssize_t got = recv(connection->socket, connection->buffer, sizeof connection->buffer, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        connection->begin = 0;
        connection->end = (size_t)got;
    }
    return (unsigned char)connection->buffer[connection->begin++];
}

/* Read a line without its end. Returns its length, or -1. What does not fit is dropped. */
static int read_line(struct connection *connection, char *line, size_t room) {
    size_t length = 0;
    for (;;) {
        int byte = next(connection);
        if (byte < 0)
            return -1;
        if (byte == '\n')
            break;
        if (byte != '\r' && length + 1 < room)
            line[length++] = (char)byte;
    }
    line[length] = 0;
    return (int)length;
}

static int read_bytes(struct connection *connection, size_t count, struct answer *answer,
                      size_t *kept) {
    while (count-- > 0) {
        int byte = next(connection);
        if (byte < 0)
            return -1;
        if (*kept + 1 < sizeof answer->body)
            answer->body[(*kept)++] = (char)byte;
    }
    return 0;
}

static int read_chunks(struct connection *connection, struct answer *answer, size_t *kept) {
    char line[256];
    for (;;) {
        if (read_line(connection, line, sizeof line) < 0)
            return -1;
        size_t size = strtoul(line, NULL, 16);
        if (size == 0)
            break;
        if (read_bytes(connection, size, answer, kept) != 0 ||
            read_line(connection, line, sizeof line) < 0)
            return -1;
    }
    do { /* trailers */
        if (read_line(connection, line, sizeof line) < 0)
            return -1;
    } while (line[0]);
    return 0;
}

static int read_answer(struct connection *connection, struct answer *answer) {
    char line[2048];
    long length;
    int chunked;
    size_t kept = 0;
    do { /* past interim answers */
        length = 0;
        chunked = 0;
        memset(answer, 0, sizeof *answer);
        if (read_line(connection, line, sizeof line) < 0 ||
            sscanf(line, "HTTP/1.%*d %d", &answer->status) != 1)
            return -1;
        for (;;) {
            if (read_line(connection, line, sizeof line) < 0)
                return -1;
            if (!line[0])
                break;
            if (strncasecmp(line, "content-length:", 15) == 0)
                length = atol(line + 15);
            else if (strncasecmp(line, "transfer-encoding:", 18) == 0)
                chunked = strcasestr(line, "chunked") != NULL;
            else if (strncasecmp(line, "connection:", 11) == 0)
                answer->closes = strcasestr(line, "close") != NULL;
            else if (strncasecmp(line, "location:", 9) == 0)
                sscanf(line + 9, " %1023s", answer->location);
        }
    } while (answer->status < 200);
    if (answer->status == 204)
        return 0;
    return chunked ? read_chunks(connection, answer, &kept)
                   : read_bytes(connection, (size_t)length, answer, &kept);
}

int ask(struct connection *connection, const char *head, const struct body *body,
        struct answer *answer, char *problem, size_t room) {
    if (connect_to(connection, problem, room) != 0)
        return -1;
    int to = connection->socket, broken = 0;
    int more = body != NULL ? MSG_MORE : 0;
    if (send_text(to, head, more) != 0 ||
        (body && body->before && send_text(to, body->before, body->length ? more : 0) != 0) ||
        (body && send_bytes(to, body) != 0) ||
        (body && body->after && send_text(to, body->after, 0) != 0))
        broken = errno ? errno : EPIPE;
    /* A server that refuses early has answered before it closed the connection. */
    if (read_answer(connection, answer) != 0) {
        snprintf(problem, room, "%s (%.60s)",
                 broken ? strerror(broken) : "the connection was closed before an answer", head);
        disconnect(connection);
        return -1;
    }
    if (broken || answer->closes)
        disconnect(connection);
    return 0;
}

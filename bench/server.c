/* The smallest server that stores uploads: one thread, `recv` into one buffer of 1 MiB, `pwrite`.
 * It promises nothing: no sync, no record, no check, no owner. It shows what a server on this
 * machine can reach at most without a digest.
 *
 *     server FOLDER [--corrupt]
 *
 * It listens on a free port of 127.0.0.1 and prints it. `PUT /NAME?at=OFFSET` writes the body into
 * FOLDER/NAME from OFFSET on. With --corrupt it changes one byte of each body, so that a test can
 * see that the benchmark compares what was stored. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM (1024 * 1024)
#define HEAD 4096
#define EVENTS 256

static const char CREATED[] = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
static const char REFUSED[] =
    "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

struct client {
    int socket;
    int file;         /* -1 between two bodies */
    off_t at;         /* where the next bytes of the body go */
    size_t left;      /* how many bytes of the body are still to come */
    char head[HEAD];  /* the beginning of a head that has not arrived as a whole */
    size_t held;
};

static char buffer[ROOM];
static int folder, corrupts;

static void leave(struct client *client) {
    if (client->file >= 0)
        close(client->file);
    close(client->socket);
    free(client);
}

static int answer(struct client *client, const char *text, size_t length) {
    return send(client->socket, text, length, MSG_NOSIGNAL) == (ssize_t)length ? 0 : -1;
}

/* Store bytes of the body. Returns how many of them belong to it, or -1. */
static ssize_t store(struct client *client, char *bytes, size_t length) {
    size_t mine = length < client->left ? length : client->left;
    if (corrupts && mine == client->left)
        bytes[mine - 1] ^= 1;
    for (size_t done = 0; done < mine;) {
        ssize_t wrote = pwrite(client->file, bytes + done, mine - done, client->at);
        if (wrote < 0)
            return -1;
        done += (size_t)wrote;
        client->at += wrote;
    }
    client->left -= mine;
    if (client->left == 0) {
        close(client->file);
        client->file = -1;
        if (answer(client, CREATED, sizeof CREATED - 1) != 0)
            return -1;
    }
    return (ssize_t)mine;
}

/* Read a head, which ends with a zero byte, and open the file. Returns 0, or -1 if it is bad. */
static int begin(struct client *client, const char *head) {
    char name[64];
    unsigned long long at = 0;
    const char *length = strcasestr(head, "\r\ncontent-length:");
    if (!length || sscanf(head, "PUT /%63[0-9a-z.]?at=%llu ", name, &at) < 1 || name[0] == '.')
        return -1;
    client->left = strtoull(length + 17, NULL, 10);
    client->at = (off_t)at;
    client->file = openat(folder, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    return client->file >= 0 && client->left > 0 ? 0 : -1;
}

/* Use what was received: heads and bodies, in turn. Returns 0, or -1 to close the connection. */
static int use(struct client *client, char *bytes, size_t length) {
    while (length > 0) {
        if (client->file >= 0) {
            ssize_t used = store(client, bytes, length);
            if (used < 0)
                return -1;
            bytes += used;
            length -= (size_t)used;
            continue;
        }
        size_t room = HEAD - 1 - client->held;
        size_t taken = length < room ? length : room;
        memcpy(client->head + client->held, bytes, taken);
        client->head[client->held + taken] = 0;
        char *end = strstr(client->head, "\r\n\r\n");
        if (!end) {
            client->held += taken;
            return client->held < HEAD - 1 ? 0 : -1;
        }
        size_t used = (size_t)(end + 4 - client->head) - client->held;
        end[2] = 0;
        client->held = 0;
        bytes += used;
        length -= used;
        if (begin(client, client->head) != 0) {
            answer(client, REFUSED, sizeof REFUSED - 1);
            return -1;
        }
    }
    return 0;
}

static void serve(int listener) {
    struct epoll_event events[EVENTS], wanted = {.events = EPOLLIN, .data.ptr = NULL};
    int poll = epoll_create1(EPOLL_CLOEXEC), on = 1;
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &wanted);
    for (;;) {
        int count = epoll_wait(poll, events, EVENTS, -1);
        for (int number = 0; number < count; number++) {
            struct client *client = events[number].data.ptr;
            if (client) {
                ssize_t got = recv(client->socket, buffer, ROOM, MSG_DONTWAIT);
                if (got < 0 && (errno == EAGAIN || errno == EINTR))
                    continue;
                if (got <= 0 || use(client, buffer, (size_t)got) != 0)
                    leave(client);
                continue;
            }
            int made = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
            if (made < 0)
                continue;
            setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            client = calloc(1, sizeof *client);
            client->socket = made;
            client->file = -1;
            wanted.data.ptr = client;
            epoll_ctl(poll, EPOLL_CTL_ADD, made, &wanted);
        }
    }
}

int main(int count, char **arguments) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    struct rlimit files;
    if (count < 2 || (folder = open(arguments[1], O_DIRECTORY | O_RDONLY | O_CLOEXEC)) < 0) {
        fprintf(stderr, "usage: server FOLDER [--corrupt]\n");
        return 2;
    }
    corrupts = count > 2 && strcmp(arguments[2], "--corrupt") == 0;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 4096) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        perror("server");
        return 1;
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    serve(listener);
}

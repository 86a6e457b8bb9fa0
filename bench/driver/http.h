/* One HTTP/1.1 connection of the driver: a request whose body comes from a file by sendfile, and
 * its answer. Everything blocks, with the timeout of the socket. */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stddef.h>
#include <sys/types.h>

struct connection {
    int port;
    int socket; /* -1: not connected */
    char buffer[16384];
    size_t begin, end; /* what of `buffer` was received and not read yet */
};

struct body {
    const char *before; /* sent before the file's bytes: the head of a form; or NULL */
    const char *after;
    int file;
    off_t offset;
    size_t length;
    long rate; /* bytes a second, or 0 for as fast as possible */
};

struct answer {
    int status;
    char location[1024];
    char body[4096]; /* its beginning, ended by a zero byte */
    int closes;
};

/* Connect if there is no connection. Returns 0, or -1 with a sentence in `problem`. */
int connect_to(struct connection *connection, char *problem, size_t room);

/* Send `head`, which ends with an empty line, and `body` (or NULL), and read the answer.
 * Returns 0, or -1 with a sentence in `problem`. */
int ask(struct connection *connection, const char *head, const struct body *body,
        struct answer *answer, char *problem, size_t room);

void disconnect(struct connection *connection);

#endif

/* A proxy that adds a delay in each direction, like a long way between client and server.
 *
 *     delay PORT MILLISECONDS RATE
 *
 * It listens on a free port of 127.0.0.1, prints it, and passes each connection on to PORT. Bytes
 * leave it MILLISECONDS after they came, in both directions. It holds up to 16 MiB for each
 * direction of a connection; a sender that is ahead of that waits, as it would for a window.
 *
 * RATE is the bytes per second that all connections together get in each direction; 0: no limit.
 * A connection has one piece at a time on the line, so they share it equally. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RING (16 << 20)
#define PIECE (256 << 10)
#define LINE_PIECE (32 << 10) /* where there is a rate */
#define PIECES 4096
#define BURST_NS 10000000L

/* One direction of the line, which is taken up to `free`. What it has not passed lately is made up
 * for, because a thread wakes up late: it is a token bucket of BURST_NS. */
struct line {
    struct timespec free;
    pthread_mutex_t mutex;
};

struct piece {
    size_t length;
    struct timespec due;
};

/* One direction. The bytes of `pieces[first]` to `pieces[first + count - 1]` lie in `ring` from
 * `begin` on, and have not been sent yet. A piece of length 0 is the end of the stream. */
struct direction {
    int from, to;
    struct line *line;
    char *ring;
    size_t begin, held;
    struct piece pieces[PIECES];
    int first, count;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
};

struct pair {
    int sockets[2];
    struct direction ways[2];
};

static int upstream;
static long delay_ns, rate;
static struct line there = {.mutex = PTHREAD_MUTEX_INITIALIZER};
static struct line back = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void add(struct timespec *time, long ns) {
    time->tv_nsec += ns;
    for (; time->tv_nsec >= 1000000000L; time->tv_nsec -= 1000000000L)
        time->tv_sec++;
    for (; time->tv_nsec < 0; time->tv_nsec += 1000000000L)
        time->tv_sec--;
}

/* Wait until `length` bytes have passed the line. */
static void pass(struct line *line, size_t length) {
    struct timespec earliest, passed;
    pthread_mutex_lock(&line->mutex);
    clock_gettime(CLOCK_MONOTONIC, &earliest);
    add(&earliest, -BURST_NS);
    if (earliest.tv_sec > line->free.tv_sec ||
        (earliest.tv_sec == line->free.tv_sec && earliest.tv_nsec > line->free.tv_nsec))
        line->free = earliest;
    add(&line->free, (long)((double)length * 1e9 / (double)rate));
    passed = line->free;
    pthread_mutex_unlock(&line->mutex);
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &passed, NULL);
}

/* Wait for room, and return how much of it is in one piece. */
static size_t wait_for_room(struct direction *way, size_t *at) {
    pthread_mutex_lock(&way->mutex);
    while (way->held == RING || way->count == PIECES)
        pthread_cond_wait(&way->changed, &way->mutex);
    *at = (way->begin + way->held) % RING;
    size_t room = RING - way->held, to_end = RING - *at;
    pthread_mutex_unlock(&way->mutex);
    room = room < to_end ? room : to_end;
    size_t most = rate ? LINE_PIECE : PIECE;
    return room < most ? room : most;
}

static void *read_all(void *argument) {
    struct direction *way = argument;
    for (;;) {
        size_t at, room = wait_for_room(way, &at);
        ssize_t got = recv(way->from, way->ring + at, room, 0);
        if (got < 0 && errno == EINTR)
            continue;
        struct piece piece = {.length = got > 0 ? (size_t)got : 0};
        if (rate)
            pass(way->line, piece.length);
        clock_gettime(CLOCK_MONOTONIC, &piece.due);
        add(&piece.due, delay_ns);
        pthread_mutex_lock(&way->mutex);
        way->pieces[(way->first + way->count++) % PIECES] = piece;
        way->held += piece.length;
        pthread_cond_signal(&way->changed);
        pthread_mutex_unlock(&way->mutex);
        if (piece.length == 0)
            return NULL;
    }
}

static void write_all(struct direction *way) {
    int broken = 0;
    for (;;) {
        pthread_mutex_lock(&way->mutex);
        while (way->count == 0)
            pthread_cond_wait(&way->changed, &way->mutex);
        struct piece piece = way->pieces[way->first];
        size_t begin = way->begin;
        pthread_mutex_unlock(&way->mutex);
        if (piece.length == 0)
            break;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &piece.due, NULL);
        for (size_t done = 0; done < piece.length && !broken;) {
            ssize_t sent = send(way->to, way->ring + begin + done, piece.length - done, MSG_NOSIGNAL);
            if (sent < 0 && errno == EINTR)
                continue;
            broken = sent < 0;
            done += sent > 0 ? (size_t)sent : 0;
        }
        if (broken) /* the reader must not wait for room that nobody makes */
            shutdown(way->from, SHUT_RD);
        pthread_mutex_lock(&way->mutex);
        way->first = (way->first + 1) % PIECES;
        way->count--;
        way->begin = (way->begin + piece.length) % RING;
        way->held -= piece.length;
        pthread_cond_signal(&way->changed);
        pthread_mutex_unlock(&way->mutex);
    }
    shutdown(way->to, SHUT_WR);
}

static void *carry(void *argument) {
    struct direction *way = argument;
    pthread_t reader;
    way->ring = malloc(RING);
    pthread_mutex_init(&way->mutex, NULL);
    pthread_cond_init(&way->changed, NULL);
    if (!way->ring || pthread_create(&reader, NULL, read_all, way) != 0)
        abort();
    write_all(way);
    pthread_join(reader, NULL);
    free(way->ring);
    return NULL;
}

static void *carry_both(void *argument) {
    struct pair *pair = argument;
    pthread_t other;
    if (pthread_create(&other, NULL, carry, &pair->ways[1]) != 0)
        abort();
    carry(&pair->ways[0]);
    pthread_join(other, NULL);
    close(pair->sockets[0]);
    close(pair->sockets[1]);
    free(pair);
    return NULL;
}

static void pass_on(int client) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)upstream)};
    struct pair *pair = calloc(1, sizeof *pair);
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    pthread_t thread;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!pair || connect(server, (struct sockaddr *)&address, sizeof address) != 0) {
        close(client);
        close(server);
        free(pair);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    pair->sockets[0] = pair->ways[0].from = pair->ways[1].to = client;
    pair->sockets[1] = pair->ways[0].to = pair->ways[1].from = server;
    pair->ways[0].line = &there;
    pair->ways[1].line = &back;
    if (pthread_create(&thread, NULL, carry_both, pair) != 0)
        abort();
    pthread_detach(thread);
}

int main(int count, char **arguments) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    if (count != 4) {
        fprintf(stderr, "usage: delay PORT MILLISECONDS RATE\n");
        return 2;
    }
    upstream = atoi(arguments[1]);
    delay_ns = atol(arguments[2]) * 1000000L;
    rate = atol(arguments[3]);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 128) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        perror("delay");
        return 1;
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (client >= 0)
            pass_on(client);
    }
}

/* The driver of the benchmark: uploads files to any server, as cheaply as possible.
 *
 * One thread for each connection; a thread takes the next upload when its last one is finished.
 * Upload number N sends `size` bytes of the source from N * `step` on. Prints one JSON object:
 * {"seconds", "cpu_seconds", "bytes"}, or {"problem"} with exit code 1. The file `uploads` gets
 * one line for each upload: number, seconds from its first request to its last answer, seconds of
 * the finishing call, and the server's name for it, separated by tabs. */
#define _GNU_SOURCE
#include "dialects.h"

#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define STACK (192 * 1024)

static struct {
    dialect act;
    const char *base, *source, *uploads;
    int port, file, count, connections, timeout;
    size_t size, request, step;
    long rate;
} options = {.base = "", .count = 1, .connections = 1, .timeout = 120};

static struct result {
    double seconds, finishing;
    char *identifier;
} *results;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t ready;
static int next_upload;
static char problem[512]; /* of the first upload that failed */

static int take_next(void) {
    pthread_mutex_lock(&mutex);
    int number = next_upload < options.count && !problem[0] ? next_upload++ : -1;
    pthread_mutex_unlock(&mutex);
    return number;
}

static void *work(void *nothing) {
    struct connection *connection = malloc(sizeof *connection);
    struct upload *upload = malloc(sizeof *upload);
    if (!connection || !upload)
        abort();
    connection->port = options.port;
    connection->socket = -1;
    pthread_barrier_wait(&ready);
    for (int number; (number = take_next()) >= 0;) {
        *upload = (struct upload){.number = number,
                                  .base = options.base,
                                  .file = options.file,
                                  .offset = (off_t)((size_t)number * options.step),
                                  .size = options.size,
                                  .request = options.request,
                                  .rate = options.rate};
        double begun = seconds_now();
        if (options.act(connection, upload) != 0) {
            pthread_mutex_lock(&mutex);
            if (!problem[0])
                snprintf(problem, sizeof problem, "%s", upload->problem);
            pthread_mutex_unlock(&mutex);
            break;
        }
        results[number] = (struct result){seconds_now() - begun, upload->finishing,
                                          strdup(upload->identifier)};
    }
    disconnect(connection);
    free(connection);
    free(upload);
    return nothing;
}

static void print_text(const char *text) {
    putchar('"');
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\')
            printf("\\%c", byte);
        else if (byte >= ' ' && byte < 127)
            putchar(byte);
        else
            putchar(' ');
    }
    putchar('"');
}

static void give_up(const char *what) {
    printf("{\"problem\": ");
    print_text(what);
    printf("}\n");
    exit(1);
}

static void end_late(int signal_number) {
    (void)signal_number;
    static const char said[] = "{\"problem\": \"the time was over\"}\n";
    ssize_t ignored = write(1, said, sizeof said - 1);
    (void)ignored;
    _exit(1);
}

static void read_options(int count, char **arguments) {
    static const struct option known[] = {
        {"port", 1, 0, 'p'},    {"dialect", 1, 0, 'd'},     {"base", 1, 0, 'b'},
        {"source", 1, 0, 's'},  {"uploads", 1, 0, 'u'},     {"count", 1, 0, 'n'},
        {"size", 1, 0, 'l'},    {"connections", 1, 0, 'c'}, {"request", 1, 0, 'r'},
        {"step", 1, 0, 'o'},    {"rate", 1, 0, 'a'},        {"timeout", 1, 0, 't'},
        {NULL, 0, NULL, 0},
    };
    for (int which; (which = getopt_long(count, arguments, "", known, NULL)) != -1;) {
        switch (which) {
        case 'p': options.port = atoi(optarg); break;
        case 'd': options.act = find_dialect(optarg); break;
        case 'b': options.base = optarg; break;
        case 's': options.source = optarg; break;
        case 'u': options.uploads = optarg; break;
        case 'n': options.count = atoi(optarg); break;
        case 'l': options.size = strtoull(optarg, NULL, 10); break;
        case 'c': options.connections = atoi(optarg); break;
        case 'r': options.request = strtoull(optarg, NULL, 10); break;
        case 'o': options.step = strtoull(optarg, NULL, 10); break;
        case 'a': options.rate = atol(optarg); break;
        case 't': options.timeout = atoi(optarg); break;
        default: exit(2);
        }
    }
    if (!options.act || !options.source || !options.uploads || !options.size || !options.port)
        give_up("options are missing or not known");
    if (!options.request)
        options.request = options.size;
}

static double cpu_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

int main(int count, char **arguments) {
    read_options(count, arguments);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, end_late);
    alarm((unsigned)options.timeout);
    options.file = open(options.source, O_RDONLY | O_CLOEXEC);
    off_t there = lseek(options.file, 0, SEEK_END);
    if (there < (off_t)((size_t)(options.count - 1) * options.step + options.size))
        give_up("the source is too short");

    int threads = options.connections < options.count ? options.connections : options.count;
    pthread_t *started = calloc((size_t)threads, sizeof *started);
    results = calloc((size_t)options.count, sizeof *results);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    pthread_barrier_init(&ready, NULL, (unsigned)threads + 1);
    for (int number = 0; number < threads; number++)
        if (pthread_create(&started[number], &attributes, work, NULL) != 0)
            give_up("a thread cannot be started");
    double cpu = cpu_seconds(), begun = seconds_now();
    pthread_barrier_wait(&ready);
    for (int number = 0; number < threads; number++)
        pthread_join(started[number], NULL);
    double took = seconds_now() - begun;
    cpu = cpu_seconds() - cpu;
    if (problem[0])
        give_up(problem);

    FILE *file = fopen(options.uploads, "w");
    if (!file)
        give_up("the file for the results cannot be written");
    for (int number = 0; number < options.count; number++)
        fprintf(file, "%d\t%.6f\t%.6f\t%s\n", number, results[number].seconds,
                results[number].finishing, results[number].identifier);
    if (fclose(file) != 0)
        give_up("the file for the results cannot be written");
    printf("{\"seconds\": %.6f, \"cpu_seconds\": %.6f, \"bytes\": %zu}\n", took, cpu,
           (size_t)options.count * options.size);
    return 0;
}

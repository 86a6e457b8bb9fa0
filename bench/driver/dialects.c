#define _GNU_SOURCE
#include "dialects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TUS "Tus-Resumable: 1.0.0\r\n"
#define HOST "Host: 127.0.0.1\r\n"
#define BYTES "Content-Type: application/octet-stream\r\n"
#define OFFSET_BYTES "Content-Type: application/offset+octet-stream\r\n"
#define JSON "Content-Type: application/json\r\n"
#define BOUNDARY "wherrybenchboundary"
#define FORM "Content-Type: multipart/form-data; boundary=" BOUNDARY "\r\n"
#define FIELD "--" BOUNDARY "\r\nContent-Disposition: form-data; name="
#define FORM_END "\r\n--" BOUNDARY "--\r\n"
/* As many partial uploads are joined as clients usually send at once. */
#define PARTIALS 4

double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static size_t least(size_t one, size_t other) { return one < other ? one : other; }

static struct body bytes_of(const struct upload *upload, size_t at, size_t length) {
    return (struct body){.file = upload->file,
                         .offset = upload->offset + (off_t)at,
                         .length = length,
                         .rate = upload->rate};
}

/* Send a request that must be answered with 200, 201 or 204. */
static int expect(struct connection *connection, struct upload *upload, const char *head,
                  const struct body *body, struct answer *answer) {
    if (ask(connection, head, body, answer, upload->problem, sizeof upload->problem) != 0)
        return -1;
    if (answer->status == 200 || answer->status == 201 || answer->status == 204)
        return 0;
    char line[64] = "";
    sscanf(head, "%60[^\r]", line);
    snprintf(upload->problem, sizeof upload->problem, "%s was answered with %d: %.300s", line,
             answer->status, answer->body);
    return -1;
}

static int expect_json(struct connection *connection, struct upload *upload, const char *path,
                       const char *json, struct answer *answer) {
    char head[4096];
    snprintf(head, sizeof head, "POST %s/%s HTTP/1.1\r\n" HOST JSON "Content-Length: %zu\r\n\r\n%s",
             upload->base, path, strlen(json), json);
    return expect(connection, upload, head, NULL, answer);
}

/* Copy the value of a text field of a flat JSON object. */
static int find_text(const char *json, const char *name, char *value, size_t room) {
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"%s\"", name);
    const char *at = strstr(json, wanted);
    if (!at || !(at = strchr(at + strlen(wanted), ':')) || !(at = strchr(at, '"')))
        return -1;
    const char *end = strchr(++at, '"');
    if (!end || (size_t)(end - at) >= room)
        return -1;
    memcpy(value, at, (size_t)(end - at));
    value[end - at] = 0;
    return 0;
}

static int take_upload_id(struct upload *upload, const struct answer *answer) {
    if (find_text(answer->body, "upload_id", upload->identifier, 64) == 0)
        return 0;
    snprintf(upload->problem, sizeof upload->problem, "no upload_id in: %.300s", answer->body);
    return -1;
}

/* --- Wherry ---------------------------------------------------------------------------------- */

static int wherry(struct connection *connection, struct upload *upload) {
    struct answer answer;
    char text[2048];
    snprintf(text, sizeof text, "{\"filename\":\"%d.bin\",\"size\":%zu}", upload->number,
             upload->size);
    if (expect_json(connection, upload, "init", text, &answer) != 0 ||
        take_upload_id(upload, &answer) != 0)
        return -1;
    for (size_t at = 0; at < upload->size;) {
        size_t length = least(upload->request, upload->size - at);
        struct body body = bytes_of(upload, at, length);
        snprintf(text, sizeof text,
                 "POST %s/chunk?upload_id=%s&offset=%zu HTTP/1.1\r\n" HOST BYTES
                 "Content-Length: %zu\r\n\r\n",
                 upload->base, upload->identifier, at, length);
        if (expect(connection, upload, text, &body, &answer) != 0)
            return -1;
        at += length;
    }
    snprintf(text, sizeof text, "{\"upload_id\":\"%s\"}", upload->identifier);
    double begun = seconds_now();
    if (expect_json(connection, upload, "complete", text, &answer) != 0)
        return -1;
    upload->finishing = seconds_now() - begun;
    return 0;
}

static int wherry_one(struct connection *connection, struct upload *upload) {
    struct answer answer;
    char head[512];
    struct body body = bytes_of(upload, 0, upload->size);
    snprintf(head, sizeof head,
             "POST %s/upload HTTP/1.1\r\n" HOST BYTES
             "Content-Disposition: attachment; filename=\"%d.bin\"\r\nContent-Length: %zu\r\n\r\n",
             upload->base, upload->number, upload->size);
    if (expect(connection, upload, head, &body, &answer) != 0)
        return -1;
    return take_upload_id(upload, &answer);
}

/* --- tus 1.0 --------------------------------------------------------------------------------- */

/* Keep the path of an address, which may be relative to `base`. */
static void take_location(char *path, size_t room, const char *base, const char *location) {
    const char *host = strstr(location, "://");
    const char *begin = host ? strchr(host + 3, '/') : location;
    const char *last = strrchr(base, '/');
    int folder = begin && begin[0] != '/' && last ? (int)(last - base) + 1 : 0;
    snprintf(path, room, "%.*s%s", folder, base, begin ? begin : "/");
}

static int tus_create(struct connection *connection, struct upload *upload, size_t size,
                      const char *more, const struct body *body, char *path, size_t room) {
    struct answer answer;
    char head[1024];
    snprintf(head, sizeof head,
             "POST %s HTTP/1.1\r\n" HOST TUS "Upload-Length: %zu\r\n%s%sContent-Length: %zu\r\n\r\n",
             upload->base, size, more, body ? OFFSET_BYTES : "", body ? body->length : 0);
    if (expect(connection, upload, head, body, &answer) != 0)
        return -1;
    if (!answer.location[0]) {
        snprintf(upload->problem, sizeof upload->problem, "the creation was answered without Location");
        return -1;
    }
    take_location(path, room, upload->base, answer.location);
    return 0;
}

/* Send the bytes from `begin` + `at` to `begin` + `size` to the upload at `path`. */
static int tus_patch(struct connection *connection, struct upload *upload, const char *path,
                     size_t begin, size_t at, size_t size) {
    struct answer answer;
    char head[2048];
    while (at < size) {
        size_t length = least(upload->request, size - at);
        struct body body = bytes_of(upload, begin + at, length);
        snprintf(head, sizeof head,
                 "PATCH %s HTTP/1.1\r\n" HOST TUS OFFSET_BYTES
                 "Upload-Offset: %zu\r\nContent-Length: %zu\r\n\r\n",
                 path, at, length);
        if (expect(connection, upload, head, &body, &answer) != 0)
            return -1;
        at += length;
    }
    return 0;
}

static int tus(struct connection *connection, struct upload *upload) {
    char *path = upload->identifier;
    if (tus_create(connection, upload, upload->size, "", NULL, path, sizeof upload->identifier) != 0)
        return -1;
    return tus_patch(connection, upload, path, 0, 0, upload->size);
}

static int tus_one(struct connection *connection, struct upload *upload) {
    size_t first = least(upload->request, upload->size);
    struct body body = bytes_of(upload, 0, first);
    char *path = upload->identifier;
    if (tus_create(connection, upload, upload->size, "", &body, path, sizeof upload->identifier) != 0)
        return -1;
    return tus_patch(connection, upload, path, 0, first, upload->size);
}

static int tus_join(struct connection *connection, struct upload *upload) {
    struct answer answer;
    char head[4 * 1024 + 512], parts[4 * 1024] = "", path[1024];
    size_t each = upload->size / PARTIALS;
    for (int number = 0; number < PARTIALS; number++) {
        size_t begin = (size_t)number * each;
        size_t size = number == PARTIALS - 1 ? upload->size - begin : each;
        if (tus_create(connection, upload, size, "Upload-Concat: partial\r\n", NULL, path,
                       sizeof path) != 0 ||
            tus_patch(connection, upload, path, begin, 0, size) != 0)
            return -1;
        size_t used = strlen(parts);
        snprintf(parts + used, sizeof parts - used, "%s%s", number ? " " : "", path);
    }
    snprintf(head, sizeof head,
             "POST %s HTTP/1.1\r\n" HOST TUS "Upload-Concat: final;%s\r\nContent-Length: 0\r\n\r\n",
             upload->base, parts);
    double begun = seconds_now();
    if (expect(connection, upload, head, NULL, &answer) != 0)
        return -1;
    upload->finishing = seconds_now() - begun;
    take_location(upload->identifier, sizeof upload->identifier, upload->base, answer.location);
    return 0;
}

/* --- PUT ------------------------------------------------------------------------------------- */

/* WebDAV cannot append, so each request is a file of its own. */
static int put_files(struct connection *connection, struct upload *upload) {
    struct answer answer;
    char head[512];
    int number = 0;
    for (size_t at = 0; at < upload->size; number++) {
        size_t length = least(upload->request, upload->size - at);
        struct body body = bytes_of(upload, at, length);
        snprintf(head, sizeof head, "PUT %s/%d.%d HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
                 upload->base, upload->number, number, length);
        if (expect(connection, upload, head, &body, &answer) != 0)
            return -1;
        at += length;
    }
    snprintf(upload->identifier, sizeof upload->identifier, "%d", upload->number);
    return 0;
}

/* The C server of this folder: the offset is in the query. */
static int put_at(struct connection *connection, struct upload *upload) {
    struct answer answer;
    char head[512];
    for (size_t at = 0; at < upload->size;) {
        size_t length = least(upload->request, upload->size - at);
        struct body body = bytes_of(upload, at, length);
        snprintf(head, sizeof head, "PUT /%d?at=%zu HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
                 upload->number, at, length);
        if (expect(connection, upload, head, &body, &answer) != 0)
            return -1;
        at += length;
    }
    snprintf(upload->identifier, sizeof upload->identifier, "%d", upload->number);
    return 0;
}

/* --- the usual FastAPI recipe ---------------------------------------------------------------- */

static int form_upload(struct connection *connection, struct upload *upload, const char *path,
                       const char *fields, size_t at, size_t length) {
    struct answer answer;
    char head[512], before[1024];
    struct body body = bytes_of(upload, at, length);
    snprintf(before, sizeof before,
             "%s" FIELD "\"file\"; filename=\"%d.bin\"\r\n" BYTES "\r\n", fields, upload->number);
    body.before = before;
    body.after = FORM_END;
    snprintf(head, sizeof head, "POST %s/%s HTTP/1.1\r\n" HOST FORM "Content-Length: %zu\r\n\r\n",
             upload->base, path, strlen(before) + length + strlen(FORM_END));
    return expect(connection, upload, head, &body, &answer);
}

static int recipe(struct connection *connection, struct upload *upload) {
    struct answer answer;
    char text[512];
    int chunks = 0;
    for (size_t at = 0; at < upload->size; chunks++) {
        size_t length = least(upload->request, upload->size - at);
        snprintf(text, sizeof text,
                 FIELD "\"upload_id\"\r\n\r\n%d\r\n" FIELD "\"index\"\r\n\r\n%d\r\n",
                 upload->number, chunks);
        if (form_upload(connection, upload, "chunk", text, at, length) != 0)
            return -1;
        at += length;
    }
    snprintf(text, sizeof text, "{\"upload_id\":\"%d\",\"chunks\":%d}", upload->number, chunks);
    double begun = seconds_now();
    if (expect_json(connection, upload, "complete", text, &answer) != 0)
        return -1;
    upload->finishing = seconds_now() - begun;
    snprintf(upload->identifier, sizeof upload->identifier, "%d.bin", upload->number);
    return 0;
}

static int recipe_one(struct connection *connection, struct upload *upload) {
    snprintf(upload->identifier, sizeof upload->identifier, "%d.bin", upload->number);
    return form_upload(connection, upload, "upload", "", 0, upload->size);
}

/* --------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    dialect act;
} DIALECTS[] = {
    {"wherry", wherry},   {"wherry-one", wherry_one}, {"tus", tus},       {"tus-one", tus_one},
    {"tus-join", tus_join}, {"put-files", put_files}, {"put-at", put_at}, {"recipe", recipe},
    {"recipe-one", recipe_one},
};

dialect find_dialect(const char *name) {
    for (size_t number = 0; number < sizeof DIALECTS / sizeof *DIALECTS; number++)
        if (strcmp(DIALECTS[number].name, name) == 0)
            return DIALECTS[number].act;
    return NULL;
}

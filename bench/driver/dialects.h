/* How one file is uploaded, in the protocol of each server. */
#ifndef BENCH_DIALECTS_H
#define BENCH_DIALECTS_H

#include "http.h"

struct upload {
    int number;
    const char *base; /* the path below which the server's routes are */
    int file;         /* where the bytes come from */
    off_t offset;     /* where this upload's bytes begin in it */
    size_t size;
    size_t request; /* the most bytes in one request */
    long rate;
    char identifier[1024]; /* result: what the server calls the upload */
    double finishing;      /* result: seconds that the last, finishing call took, or 0 */
    char problem[512];     /* result, if it failed */
};

typedef int (*dialect)(struct connection *, struct upload *);

/* NULL if there is none of this name. */
dialect find_dialect(const char *name);

double seconds_now(void);

#endif

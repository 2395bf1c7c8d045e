// stdio on the same files: buffers that libc keeps above the descriptors, and descriptors it opens and closes itself.
#include "exerciser.h"

#include <fcntl.h>
#include <unistd.h>

static void stream_close(struct side *side, unsigned stream, struct result *result)
{
    if (side->stream[stream] == NULL) return;
    errno = 0;
    result->extra = fclose(side->stream[stream]);
    side->stream[stream] = NULL;
    side->direction[stream] = 0;
}

static const char *const modes[] = {"r", "r+", "w", "w+", "a", "a+"};

static void set_buffer(FILE *stream, unsigned shape)
{
    switch (shape % 4) {
    case 0: setvbuf(stream, NULL, _IONBF, 0); break;
    case 1: setvbuf(stream, NULL, _IOFBF, 17 + shape); break;
    default: break;
    }
}

static void run_fopen(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    char path[1024];
    stream_close(side, op->stream, result);
    side_path(side, op->name, op->variant, path, sizeof path);
    FILE *stream = op->variant % 2 == 0 ? fopen(path, modes[place->value]) : fopen64(path, modes[place->value]);
    side->stream[op->stream] = stream;
    result_set(result, stream == NULL ? -1 : 0);
    if (stream != NULL) set_buffer(stream, op->shape);
}

static void run_fdopen(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    stream_close(side, op->stream, result);
    long fd = side->calls->dup(side_fd(side, op->slot));
    if (fd < 0) {
        result_set(result, fd);
        return;
    }
    FILE *stream = fdopen((int)fd, modes[place->value]);
    result_set(result, stream == NULL ? -1 : 0);
    if (stream == NULL) side->calls->close(0, (int)fd);
    else set_buffer(stream, op->shape);
    side->stream[op->stream] = stream;
}

// Another file for the same stream, and so, as a rule, for the same descriptor number.
static void run_freopen(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    char path[1024];
    if (side->stream[op->stream] == NULL) return;
    side_path(side, op->name, op->variant, path, sizeof path);
    side->direction[op->stream] = 0;
    side->stream[op->stream] = freopen(path, modes[place->value], side->stream[op->stream]);
    result_set(result, side->stream[op->stream] == NULL ? -1 : 0);
}

static void run_fread(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    FILE *stream = side->stream[op->stream];
    if (stream == NULL) return;
    unsigned char *buffer = side_buffer(side, op, place->length, result);
    if (side->direction[op->stream] == 2) fflush(stream);
    side->direction[op->stream] = 1;
    result->ret = (int64_t)fread(buffer, 1, place->length, stream);
    result->extra = feof(stream) * 2 + ferror(stream);
    clearerr(stream);
}

static void run_fwrite(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    FILE *stream = side->stream[op->stream];
    if (stream == NULL) return;
    unsigned char *buffer = side_buffer(side, op, place->length, result);
    if (side->direction[op->stream] == 1) fseeko(stream, 0, SEEK_CUR);
    side->direction[op->stream] = 2;
    result->ret = (int64_t)fwrite(buffer, 1, place->length, stream);
    result->extra = ferror(stream);
    clearerr(stream);
}

static void run_fseek(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    FILE *stream = side->stream[op->stream];
    if (stream == NULL) return;
    side->direction[op->stream] = 0;
    result_set(result, fseeko(stream, place->offset, SEEK_SET));
    result->extra = ftello(stream);
}

static void run_fflush(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)place;
    if (side->stream[op->stream] == NULL) return;
    side->direction[op->stream] = 0;
    result_set(result, fflush(side->stream[op->stream]));
    clearerr(side->stream[op->stream]);
}

static void run_fclose(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)place;
    stream_close(side, op->stream, result);
}

static const struct choice mode_choices[] = {
    {"r", 0, 3}, {"r+", 1, 4}, {"w", 2, 1}, {"w+", 3, 1}, {"a", 4, 1}, {"a+", 5, 1}, {NULL, 0, 0},
};

static const struct kind kinds[] = {
    {"fopen", 8, STREAM | NAME | SHAPE | VARIANT | CHOICE, UNTIMED, mode_choices, run_fopen},
    {"fdopen", 4, STREAM | SLOT | SHAPE | CHOICE, UNTIMED, mode_choices, run_fdopen},
    {"freopen", 2, STREAM | NAME | VARIANT | CHOICE, UNTIMED, mode_choices, run_freopen},
    {"fread", 12, STREAM | LENGTH | BUFFER, BY_STREAM | TOUCHES | UNTIMED, NULL, run_fread},
    {"fwrite", 12, STREAM | LENGTH | BUFFER, BY_STREAM | UNSEEN | EXTENDS | FILLS | TOUCHES | UNTIMED, NULL,
     run_fwrite},
    {"fseek", 8, STREAM | OFFSET, BY_STREAM | UNTIMED, NULL, run_fseek},
    {"fflush", 6, STREAM, BY_STREAM | UNTIMED, NULL, run_fflush},
    {"fclose", 4, STREAM, BY_STREAM | UNTIMED, NULL, run_fclose},
};

const struct group stdio_group = {"stdio", kinds, sizeof kinds / sizeof *kinds};

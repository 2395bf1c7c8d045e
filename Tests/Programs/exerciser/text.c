// The text form of a sequence: one operation per line, `kind key=value ...`; lines that begin with # are comments.
#include "exerciser.h"

#include <stdlib.h>
#include <string.h>

static const char *const anchor_names[ANCHOR_COUNT] = {"zero", "end", "current", "last-page", "middle", "exact"};
static const char *const fault_names[FAULT_COUNT] = {"none", "half-bad", "bad", "null", "negative-length",
                                                     "giant-length"};

struct byte_field {
    const char *name;
    size_t offset;
    unsigned always, sometimes; // fields of a kind that make it printed always, or where it is not 0
};

static const struct byte_field byte_fields[] = {
    {"slot", offsetof(struct op, slot), SLOT, 0}, {"other", offsetof(struct op, other), OTHER, 0},
    {"name", offsetof(struct op, name), NAME, 0}, {"to", offsetof(struct op, to), TO, 0},
    {"map", offsetof(struct op, map), MAP, 0}, {"stream", offsetof(struct op, stream), STREAM, 0},
    {"variant", offsetof(struct op, variant), 0, VARIANT}, {"align", offsetof(struct op, align), 0, BUFFER},
    {"shape", offsetof(struct op, shape), 0, SHAPE},
};

static void print_place(FILE *out, const char *name, unsigned anchor, int64_t delta)
{
    if (delta == 0) fprintf(out, " %s=%s", name, anchor_names[anchor]);
    else fprintf(out, " %s=%s%+lld", name, anchor_names[anchor], (long long)delta);
}

void op_print(FILE *out, const struct op *op)
{
    const struct kind *kind = kind_of(op);
    fputs(kind->name, out);
    for (size_t index = 0; index < sizeof byte_fields / sizeof *byte_fields; index++) {
        const struct byte_field *field = &byte_fields[index];
        unsigned value = *((const unsigned char *)op + field->offset);
        if ((kind->fields & field->always) != 0 || ((kind->fields & field->sometimes) != 0 && value != 0))
            fprintf(out, " %s=%u", field->name, value);
    }
    if ((kind->fields & CHOICE) != 0) fprintf(out, " choice=%s", kind->choices[op->choice].text);
    if ((kind->fields & OFFSET) != 0) print_place(out, "at", op->anchor, op->delta);
    if ((kind->fields & OFFSET2) != 0) print_place(out, "at2", op->anchor2, op->delta2);
    if ((kind->fields & LENGTH) != 0 && op->length_to_end) fprintf(out, " length=end%+lld", (long long)op->length);
    else if ((kind->fields & LENGTH) != 0) fprintf(out, " length=%lld", (long long)op->length);
    if ((kind->fields & BUFFER) != 0 && op->fault != FAULT_NONE) fprintf(out, " buffer=%s", fault_names[op->fault]);
    if (op->pattern != 0) fprintf(out, " pattern=%u", op->pattern);
    fputc('\n', out);
}

static bool parse_word(const char *const *names, size_t count, const char *text, uint8_t *value, const char **rest)
{
    for (size_t index = 0; index < count; index++) {
        size_t length = strlen(names[index]);
        if (strncmp(text, names[index], length) != 0) continue;
        if (text[length] != '\0' && text[length] != '+' && text[length] != '-') continue;
        *value = (uint8_t)index;
        if (rest != NULL) *rest = text + length;
        return rest != NULL || text[length] == '\0';
    }
    return false;
}

static bool parse_number(const char *text, int64_t *value)
{
    char *end;
    errno = 0;
    *value = *text == '\0' ? 0 : strtoll(text, &end, 10);
    return *text == '\0' || (*end == '\0' && errno == 0);
}

static bool parse_choice(const struct kind *kind, const char *text, uint8_t *value)
{
    for (int index = 0; kind->choices != NULL && kind->choices[index].text != NULL; index++) {
        if (strcmp(kind->choices[index].text, text) != 0) continue;
        *value = (uint8_t)index;
        return true;
    }
    return false;
}

static unsigned byte_limit(const char *name)
{
    if (strcmp(name, "name") == 0 || strcmp(name, "to") == 0) return NAMES;
    if (strcmp(name, "map") == 0) return MAPS;
    if (strcmp(name, "stream") == 0) return STREAMS;
    return strcmp(name, "slot") == 0 || strcmp(name, "other") == 0 ? SLOT_UNUSED + 1 : 256;
}

static bool parse_field(const char *key, const char *value, const struct kind *kind, struct op *op)
{
    const char *rest;
    int64_t number;
    if (strcmp(key, "choice") == 0) return parse_choice(kind, value, &op->choice);
    if (strcmp(key, "buffer") == 0) return parse_word(fault_names, FAULT_COUNT, value, &op->fault, NULL);
    if (strcmp(key, "at") == 0)
        return parse_word(anchor_names, ANCHOR_COUNT, value, &op->anchor, &rest) && parse_number(rest, &op->delta);
    if (strcmp(key, "at2") == 0)
        return parse_word(anchor_names, ANCHOR_COUNT, value, &op->anchor2, &rest) && parse_number(rest, &op->delta2);
    if (strcmp(key, "length") == 0) {
        op->length_to_end = strncmp(value, "end", 3) == 0;
        return parse_number(op->length_to_end ? value + 3 : value, &op->length);
    }
    if (!parse_number(value, &number) || number < 0) return false;
    if (strcmp(key, "pattern") == 0) {
        op->pattern = (uint32_t)number;
        return number <= UINT32_MAX;
    }
    for (size_t index = 0; index < sizeof byte_fields / sizeof *byte_fields; index++) {
        if (strcmp(byte_fields[index].name, key) != 0) continue;
        *((unsigned char *)op + byte_fields[index].offset) = (unsigned char)number;
        return number < byte_limit(key);
    }
    return false;
}

bool op_parse(const char *line, struct op *op)
{
    char text[1024];
    if (strlen(line) >= sizeof text) return false;
    snprintf(text, sizeof text, "%s", line);
    char *state, *word = strtok_r(text, " \t\n", &state);
    if (word == NULL) return false;
    int kind = kind_named(word);
    if (kind < 0) return false;
    *op = (struct op){.kind = (uint8_t)kind};
    while ((word = strtok_r(NULL, " \t\n", &state)) != NULL) {
        char *equals = strchr(word, '=');
        if (equals == NULL) return false;
        *equals = '\0';
        if (!parse_field(word, equals + 1, kind_at((size_t)kind), op)) return false;
    }
    return true;
}

// In the order of `enum mode`.
static const char *const mode_names[] = {"threads", "fork", "exec", "kill", "truncation", "faults",
                                         "jumps", "vectors", "counts", "handles", "runtime", "huge", "seals",
                                         "sync", "aio"};
enum { MODE_COUNT = sizeof mode_names / sizeof *mode_names };

bool modes_parse(const char *text, unsigned *modes)
{
    char words[256], *state;
    *modes = 0;
    if (strcmp(text, "all") == 0) *modes = MODES_ALL;
    if (strcmp(text, "all") == 0 || strcmp(text, "none") == 0) return true;
    if ((size_t)snprintf(words, sizeof words, "%s", text) >= sizeof words) return false;
    for (char *word = strtok_r(words, ",", &state); word != NULL; word = strtok_r(NULL, ",", &state)) {
        unsigned index = 0;
        while (index < MODE_COUNT && strcmp(mode_names[index], word) != 0) index++;
        if (index == MODE_COUNT) return false;
        *modes |= 1u << index;
    }
    return *modes != 0;
}

void modes_print(FILE *out, unsigned modes)
{
    const char *separator = "";
    for (unsigned index = 0; index < MODE_COUNT; index++) {
        if ((modes & 1u << index) == 0) continue;
        fprintf(out, "%s%s", separator, mode_names[index]);
        separator = ",";
    }
    if (modes == 0) fputs("none", out);
}

bool sequence_save(FILE *out, const struct sequence *sequence)
{
    fprintf(out, "# exerciser sequence: replay with `exerciser --load FILE --served DIR --reference DIR`\n");
    fprintf(out, "seed=%llu huge=%d", (unsigned long long)sequence->seed, sequence->huge);
    if (sequence->modes != 0) {
        fputs(" modes=", out);
        modes_print(out, sequence->modes);
    }
    fputc('\n', out);
    for (size_t index = 0; index < sequence->count; index++) op_print(out, &sequence->ops[index]);
    return fflush(out) == 0 && ferror(out) == 0;
}

bool sequence_load(FILE *in, struct sequence *sequence)
{
    char line[1024];
    size_t number = 0, room = 0;
    *sequence = (struct sequence){0};
    while (fgets(line, sizeof line, in) != NULL) {
        unsigned long long seed;
        int huge;
        char modes[256];
        number++;
        if (line[0] == '#' || line[0] == '\n') continue;
        int fields = sscanf(line, "seed=%llu huge=%d modes=%255s", &seed, &huge, modes);
        if (fields >= 2) {
            sequence->seed = seed;
            sequence->huge = huge != 0;
            if (fields == 3 && !modes_parse(modes, &sequence->modes)) {
                fprintf(stderr, "exerciser: line %zu names no modes: %s", number, line);
                return false;
            }
            continue;
        }
        if (sequence->count == room) {
            room = room == 0 ? 256 : room * 2;
            struct op *grown = realloc(sequence->ops, room * sizeof *grown);
            if (grown == NULL) return false;
            sequence->ops = grown;
        }
        if (!op_parse(line, &sequence->ops[sequence->count])) {
            fprintf(stderr, "exerciser: line %zu is no operation: %s", number, line);
            return false;
        }
        sequence->count++;
    }
    return true;
}

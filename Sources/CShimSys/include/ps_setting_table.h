// The settings by name, for the engine and for shimctl: what the C preprocessor makes of the table in ../settings.def.
#ifndef PS_SETTING_TABLE_H
#define PS_SETTING_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ps_setting_limit {
#define LIMIT(NAME, number) PS_##NAME = number,
#include "../settings.def"
};

// Closed: a switch in Swift has to name every setting.
enum __attribute__((enum_extensibility(closed))) ps_setting : uint32_t {
#define SETTING(NAME, name, values, meaning, refused) PS_SETTING_##NAME __attribute__((swift_name(#name))),
#include "../settings.def"
};
enum ps_setting_count {
    PS_SETTINGS = 0
#define SETTING(NAME, name, values, meaning, refused) +1
#include "../settings.def"
};

// The variable of `setting`, which is below PS_SETTINGS.
static inline const char *_Nonnull ps_setting_name(enum ps_setting setting)
{
    static const char *_Nonnull const names[] = {
#define SETTING(NAME, name, values, meaning, refused) "PMEMSHIM_" #NAME,
#include "../settings.def"
    };
    return names[setting];
}

// Variable `index` of those that only this repository's tests and scripts read; NULL behind the last.
static inline const char *_Nullable ps_test_variable(size_t index)
{
    static const char *_Nonnull const names[] = {
#define TEST_VARIABLE(NAME, use) "PMEMSHIM_" #NAME,
#include "../settings.def"
    };
    return index < sizeof names / sizeof *names ? names[index] : NULL;
}

// Where the value begins in `variable`, "NAME=value" as environ(7) has it, and whose value it is; NULL: no setting's.
static inline const char *_Nullable ps_setting_value(const char *_Nonnull variable, enum ps_setting *_Nonnull setting)
{
    for (uint32_t i = 0; i < PS_SETTINGS; i++) {
        const char *name = ps_setting_name((enum ps_setting)i), *at = variable;
        while (*name && *at == *name) {
            name++;
            at++;
        }
        if (*name || *at != '=')
            continue;
        *setting = (enum ps_setting)i;
        return at + 1;
    }
    return NULL;
}

#endif

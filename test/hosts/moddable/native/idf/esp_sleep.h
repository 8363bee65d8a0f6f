#pragma once
#include <stdint.h>
void esp_deep_sleep(uint64_t microseconds) __attribute__((noreturn));

#pragma once
/* A section of its own on a board. */
#define RTC_NOINIT_ATTR

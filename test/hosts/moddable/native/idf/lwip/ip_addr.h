#pragma once
#include <stdint.h>
#define IPADDR_STRLEN_MAX 46
typedef struct {
	uint32_t address;
} ip_addr_t;
#define ip_addr_isany(ip) ((ip) == NULL || (ip)->address == 0)
char *ipaddr_ntoa_r(const ip_addr_t *address, char *text, int length);

#pragma once
#include <stdbool.h>
#include "lwip/ip_addr.h"
void esp_sntp_servermode_dhcp(bool enable);
const ip_addr_t *esp_sntp_getserver(uint8_t index);

/* What an ESP32 can and ESP-IDF has no plain function for. */
#include <stdint.h>
#include <string.h>
#include "esp_attr.h"
#include "esp_sleep.h"
#include "esp_wifi.h"

/* RTC memory that no start of the program clears: it survives deep sleep and a restart, but no loss of power. */
static RTC_NOINIT_ATTR uint8_t retained[64];

/* Deep sleep for so many milliseconds, the radio off; does not return. */
void skerry_sleep(double delayMs);
/* At most 64 bytes. */
void skerry_retained_read(uint8_t *buffer, uint32_t length);
void skerry_retained_write(uint8_t *buffer, uint32_t length);

void skerry_sleep(double delayMs)
{
	/* Deep sleep does not end Wi-Fi in good order. Where Wi-Fi was never begun, this is refused, and that is fine. */
	(void)esp_wifi_stop();
	esp_deep_sleep((uint64_t)(delayMs * 1000.0));
}

void skerry_retained_read(uint8_t *buffer, uint32_t length)
{
	memcpy(buffer, retained, length < sizeof(retained) ? length : sizeof(retained));
}

void skerry_retained_write(uint8_t *buffer, uint32_t length)
{
	memcpy(retained, buffer, length < sizeof(retained) ? length : sizeof(retained));
}

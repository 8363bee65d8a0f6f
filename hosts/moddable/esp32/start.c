/*
 * What has to be done before the SDK's own start. The SDK ends the program, and so restarts the board for ever, where NVS
 * cannot be mounted; the macro for a delay at the start (manifest.json, "startup") is the one place where it lets us go first.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "bootloader_random.h"
#include "esp_partition.h"
#include "esp_random.h"
#include "esp_rom_sys.h"
#include "esp_sleep.h"
#include "esp_wifi.h"
#include "nvs_flash/include/nvs_flash.h"
#include "sdkconfig.h"

/* Milliseconds that the start is to be delayed: none. A second call does nothing. */
uint32_t skerry_before_main(void);
/* The esp_err_t with which NVS could not be mounted as it was, 0 when it could. */
int32_t skerry_storage_error(void);
/* 1 when NVS is mounted to read only, 0 otherwise. */
int32_t skerry_storage_is_frozen(void);
/* Fills the buffer with true random bytes; returns 0, or -1 when there are none now. */
int32_t skerry_random(uint8_t *buffer, uint32_t length);

static bool begun;
static esp_err_t storage_error;
/* NVS as the table has it, but to be read only. ESP-IDF keeps a pointer to it. */
static esp_partition_t frozen;
/* Drawn while the bootloader's source of noise is on; each byte is given once. */
static uint8_t pool[256];
static uint32_t pooled;

static void fill_pool(void)
{
	/* Nothing else uses the converter yet, nor the radio: that is the condition for it. */
	bootloader_random_enable();
	esp_fill_random(pool, sizeof(pool));
	bootloader_random_disable();
	pooled = sizeof(pool);
}

int32_t skerry_random(uint8_t *buffer, uint32_t length)
{
	int8_t power;
	/* Refused unless the radio has been started: with it the generator is fed by noise. */
	if (esp_wifi_get_max_tx_power(&power) == ESP_OK) {
		esp_fill_random(buffer, length);
		return 0;
	}
	if (length > pooled)
		return -1;
	pooled -= length;
	memcpy(buffer, pool + pooled, length);
	memset(pool + pooled, 0, length);
	return 0;
}

/* Under the same label, so that the SDK's own call finds it mounted. */
static bool freeze(void)
{
#if defined(CONFIG_NVS_ENCRYPTION)
	return false;
#else
	const esp_partition_t *found =
		esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_NVS, NVS_DEFAULT_PART_NAME);
	if (found == NULL)
		return false;
	frozen = *found;
	frozen.readonly = true;
	if (nvs_flash_init_partition_ptr(&frozen) == ESP_OK)
		return true;
	frozen.readonly = false;
	return false;
#endif
}

static void mount(void)
{
	esp_err_t status = nvs_flash_init();
	storage_error = status;
	if (status == ESP_OK)
		return;
	/* All pages are in use, as after a table with a smaller partition: the values are there. */
	if (status == ESP_ERR_NVS_NO_FREE_PAGES && freeze())
		return;
	/* Of a format that this firmware will never read. */
	if (status == ESP_ERR_NVS_NO_FREE_PAGES || status == ESP_ERR_NVS_NEW_VERSION_FOUND) {
		status = nvs_flash_erase();
		if (status == ESP_OK)
			status = nvs_flash_init();
		if (status == ESP_OK)
			return;
		storage_error = status;
	}
	/* No partition, keys that cannot be read, flash that refuses: nothing is erased, and it is tried again, but not at once. */
	esp_rom_printf("skerry: NVS cannot be mounted: error 0x%x%s; again in a minute\n", (unsigned)status,
		       status == ESP_ERR_NOT_FOUND ? ", the partition table has no \"nvs\"" : "");
	esp_deep_sleep(60000000ULL);
}

uint32_t skerry_before_main(void)
{
	if (!begun) {
		begun = true;
		fill_pool();
		mount();
	}
	return 0;
}

int32_t skerry_storage_error(void)
{
	return (int32_t)storage_error;
}

int32_t skerry_storage_is_frozen(void)
{
	return frozen.readonly ? 1 : 0;
}

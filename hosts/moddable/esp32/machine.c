/* What an ESP32 can and ESP-IDF has no plain function for. */
#include <stdint.h>
#include <string.h>
#include "esp_attr.h"
#include "app_update/include/esp_ota_ops.h"
#include "esp_partition.h"
#include "esp_sleep.h"
#include "esp_wifi.h"
#include "sdkconfig.h"

/* RTC memory that no start of the program clears: it survives deep sleep and a restart, but no loss of power. */
static RTC_NOINIT_ATTR uint8_t retained[64];

/* Deep sleep for so many milliseconds, the radio off; does not return. */
void skerry_sleep(double delayMs);
/* At most 64 bytes. */
void skerry_retained_read(uint8_t *buffer, uint32_t length);
void skerry_retained_write(uint8_t *buffer, uint32_t length);

/*
 * The partition of that number, as the table has them: 16 bytes of label, type, subtype, two of nothing, then offset and size as
 * four bytes each, the least significant first. Returns 1, or 0 where there are no more.
 */
int32_t skerry_partition(uint32_t number, uint8_t *entry);

/* Slots: 0 is the one that runs, 1 the one that does not. */

/* At most 16 bytes; returns how many, 0 where there is no such slot. */
int32_t skerry_slot_label(uint32_t slot, uint8_t *label);
/* An esp_ota_img_states_t, or -1 where nothing is recorded. */
int32_t skerry_slot_state(uint32_t slot);
/* At most 32 bytes of what the other image says is its version; returns how many. */
int32_t skerry_next_version(uint8_t *version);
/* 0, an error of ESP-IDF, or -1 when there is no image that can run. A revert that succeeds does not return. */
int32_t skerry_update_complete(void);
int32_t skerry_update_confirm(void);
int32_t skerry_update_revert(void);

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

int32_t skerry_partition(uint32_t number, uint8_t *entry)
{
	const esp_partition_t *partition;
	esp_partition_iterator_t at =
		esp_partition_find(ESP_PARTITION_TYPE_ANY, ESP_PARTITION_SUBTYPE_ANY, NULL);
	/* At the end the iterator is released, and NULL. */
	while (at != NULL && number-- > 0)
		at = esp_partition_next(at);
	if (at == NULL)
		return 0;
	partition = esp_partition_get(at);
	memset(entry, 0, 28);
	memcpy(entry, partition->label, strnlen(partition->label, 16));
	entry[16] = (uint8_t)partition->type;
	entry[17] = (uint8_t)partition->subtype;
	for (int i = 0; i < 4; i++) {
		entry[20 + i] = (uint8_t)(partition->address >> (8 * i));
		entry[24 + i] = (uint8_t)(partition->size >> (8 * i));
	}
	esp_partition_iterator_release(at);
	return 1;
}

static const esp_partition_t *slot_partition(uint32_t slot)
{
	const esp_partition_t *running = esp_ota_get_running_partition();
	const esp_partition_t *next;
	if (slot == 0)
		return running;
	/* With a single slot ESP-IDF names the one that runs. */
	next = esp_ota_get_next_update_partition(NULL);
	return next == running ? NULL : next;
}

int32_t skerry_slot_label(uint32_t slot, uint8_t *label)
{
	const esp_partition_t *partition = slot_partition(slot);
	size_t length;
	if (partition == NULL)
		return 0;
	length = strnlen(partition->label, 16);
	memcpy(label, partition->label, length);
	return (int32_t)length;
}

int32_t skerry_slot_state(uint32_t slot)
{
	const esp_partition_t *partition = slot_partition(slot);
	esp_ota_img_states_t state;
	if (partition == NULL || esp_ota_get_state_partition(partition, &state) != ESP_OK)
		return -1;
	return (int32_t)state;
}

int32_t skerry_next_version(uint8_t *version)
{
#if defined(CONFIG_APP_PROJECT_VER_FROM_CONFIG)
	const esp_partition_t *partition = slot_partition(1);
	esp_app_desc_t description;
	size_t length;
	if (partition == NULL || esp_ota_get_partition_description(partition, &description) != ESP_OK)
		return 0;
	length = strnlen(description.version, sizeof(description.version));
	memcpy(version, description.version, length);
	return (int32_t)length;
#else
	/* Without it every image of the SDK says the same. */
	(void)version;
	return 0;
#endif
}

static int32_t told(esp_err_t status)
{
	switch (status) {
	case ESP_OK:
		return 0;
	case ESP_ERR_OTA_VALIDATE_FAILED:
	case ESP_ERR_OTA_ROLLBACK_FAILED:
	case ESP_ERR_NOT_FOUND:
		return -1;
	default:
		return (int32_t)status;
	}
}

int32_t skerry_update_complete(void)
{
	const esp_partition_t *partition = slot_partition(1);
	/* Reads the whole image and checks its digest, then writes which slot starts next. */
	return partition == NULL ? -1 : told(esp_ota_set_boot_partition(partition));
}

int32_t skerry_update_confirm(void)
{
	return told(esp_ota_mark_app_valid_cancel_rollback());
}

int32_t skerry_update_revert(void)
{
	return told(esp_ota_mark_app_invalid_rollback_and_reboot());
}

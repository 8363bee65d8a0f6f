/*
 * A board of its own for our native files: what ESP-IDF would answer is told by the first argument, what was done is printed.
 * Compiled into one unit with them, so that their types meet.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "machine.c"
#include "network.c"
#include "start.c"

static const char *scenario;
static bool radio_on;
static unsigned drawn;
static bool source_on;
static bool mounted;
static bool erased;
static esp_event_handler_t handler;

static bool is(const char *name)
{
	return strcmp(scenario, name) == 0;
}

esp_event_base_t const WIFI_EVENT = "WIFI_EVENT";

void bootloader_random_enable(void)
{
	source_on = true;
}

void bootloader_random_disable(void)
{
	source_on = false;
}

void esp_fill_random(void *buffer, size_t length)
{
	/* Counts, so that a byte given twice is seen. */
	if (!source_on && !radio_on)
		printf("weak bytes\n");
	for (size_t i = 0; i < length; i++)
		((uint8_t *)buffer)[i] = (uint8_t)(++drawn);
}

int esp_rom_printf(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	return 0;
}

void esp_deep_sleep(uint64_t microseconds)
{
	printf("sleeps %llu s\n", (unsigned long long)(microseconds / 1000000));
	fflush(stdout);
	exit(0);
}

esp_err_t esp_event_loop_create_default(void)
{
	return is("no memory") ? ESP_ERR_NO_MEM : ESP_ERR_INVALID_STATE;
}

esp_err_t esp_event_handler_register(esp_event_base_t base, int32_t event, esp_event_handler_t each, void *argument)
{
	handler = base == WIFI_EVENT && event == ESP_EVENT_ANY_ID && argument == NULL ? each : NULL;
	return ESP_OK;
}

esp_err_t esp_wifi_stop(void)
{
	return ESP_OK;
}

esp_err_t esp_wifi_get_max_tx_power(int8_t *power)
{
	*power = 80;
	return radio_on ? ESP_OK : ESP_ERR_WIFI_NOT_STARTED;
}

static const esp_partition_t table[] = {
	{ .type = 1, .subtype = 2, .address = 0x9000, .size = 0x6000, .label = "nvs" },
	{ .type = 0, .subtype = 0x10, .address = 0x10000, .size = 0x1d0000, .label = "ota_0" },
	{ .type = 1, .subtype = 6, .address = 0x3c0000, .size = 0x40000, .label = "sixteen_letters_" },
};
static uint32_t at;
static int released;

const esp_partition_t *esp_partition_find_first(esp_partition_type_t type, esp_partition_subtype_t subtype, const char *label)
{
	if (is("no partition") || type != 1 || subtype != 2 || strcmp(label, "nvs") != 0)
		return NULL;
	return &table[0];
}

esp_partition_iterator_t esp_partition_find(esp_partition_type_t type, esp_partition_subtype_t subtype, const char *label)
{
	at = 0;
	released = 0;
	return type == ESP_PARTITION_TYPE_ANY && subtype == ESP_PARTITION_SUBTYPE_ANY && label == NULL ? (void *)table : NULL;
}

esp_partition_iterator_t esp_partition_next(esp_partition_iterator_t iterator)
{
	if (++at < sizeof(table) / sizeof(table[0]))
		return iterator;
	released++;
	return NULL;
}

const esp_partition_t *esp_partition_get(esp_partition_iterator_t iterator)
{
	return iterator == NULL ? NULL : &table[at];
}

void esp_partition_iterator_release(esp_partition_iterator_t iterator)
{
	released += iterator != NULL;
}

esp_err_t nvs_flash_init(void)
{
	if (mounted)
		return ESP_OK;
	if (is("no free pages") || is("frozen in vain"))
		return erased ? ESP_OK : ESP_ERR_NVS_NO_FREE_PAGES;
	if (is("later version"))
		return erased ? ESP_OK : ESP_ERR_NVS_NEW_VERSION_FOUND;
	if (is("flash refuses"))
		return ESP_ERR_NVS_NEW_VERSION_FOUND;
	return is("no partition") ? ESP_ERR_NOT_FOUND : ESP_OK;
}

esp_err_t nvs_flash_init_partition_ptr(const esp_partition_t *partition)
{
	if (is("frozen in vain") || !partition->readonly || strcmp(partition->label, "nvs") != 0)
		return ESP_FAIL;
	printf("mounted to read\n");
	mounted = true;
	return ESP_OK;
}

esp_err_t nvs_flash_erase(void)
{
	if (is("flash refuses"))
		return ESP_FAIL;
	printf("erased\n");
	erased = true;
	return ESP_OK;
}

const esp_partition_t *esp_ota_get_running_partition(void)
{
	return &table[1];
}

const esp_partition_t *esp_ota_get_next_update_partition(const esp_partition_t *start)
{
	return start == NULL ? &table[1] : NULL;
}

esp_err_t esp_ota_get_state_partition(const esp_partition_t *partition, esp_ota_img_states_t *state)
{
	*state = ESP_OTA_IMG_NEW;
	return partition == &table[1] ? ESP_OK : ESP_ERR_NOT_FOUND;
}

esp_err_t esp_ota_get_partition_description(const esp_partition_t *partition, esp_app_desc_t *description)
{
	(void)partition;
	memcpy(description->version, "1.4.0", 6);
	return ESP_OK;
}

esp_err_t esp_ota_set_boot_partition(const esp_partition_t *partition)
{
	(void)partition;
	return ESP_ERR_OTA_VALIDATE_FAILED;
}

esp_err_t esp_ota_mark_app_valid_cancel_rollback(void)
{
	return ESP_OK;
}

esp_err_t esp_ota_mark_app_invalid_rollback_and_reboot(void)
{
	return ESP_ERR_OTA_ROLLBACK_FAILED;
}

#if defined(CONFIG_LWIP_DHCP_GET_NTP_SRV)
static bool asks;

void esp_sntp_servermode_dhcp(bool enable)
{
	asks = enable;
}

const ip_addr_t *esp_sntp_getserver(uint8_t index)
{
	static const ip_addr_t named = { 7 };
	return index == 0 && asks ? &named : NULL;
}

char *ipaddr_ntoa_r(const ip_addr_t *address, char *text, int length)
{
	return snprintf(text, (size_t)length, "192.0.2.%u", (unsigned)address->address) < length ? text : NULL;
}
#endif

static void tell_storage(void)
{
	uint32_t delay = skerry_before_main();
	/* What the SDK does next; anything but 0 would be a restart. */
	printf("delay %u, then 0x%x\n", (unsigned)delay, (unsigned)nvs_flash_init());
	printf("error 0x%x, frozen %d\n", (unsigned)skerry_storage_error(), skerry_storage_is_frozen());
}

static void tell_random(void)
{
	uint8_t bytes[32];
	uint8_t seen[256] = { 0 };
	unsigned given = 0;
	while (skerry_random(bytes, sizeof(bytes)) == 0 && given < 1024)
		for (size_t i = 0; i < sizeof(bytes); i++, given++)
			if (seen[bytes[i]]++ > 0)
				printf("given twice\n");
	printf("%u before the radio\n", given);
	radio_on = true;
	printf("then %d\n", skerry_random(bytes, sizeof(bytes)));
	(void)skerry_before_main();
	radio_on = false;
	printf("off again %d\n", skerry_random(bytes, 1));
}

static void tell_partitions(void)
{
	uint8_t entry[28];
	for (uint32_t number = 0; skerry_partition(number, entry) == 1; number++) {
		printf("released %d:", released);
		for (size_t i = 0; i < sizeof(entry); i++)
			printf("%02x", entry[i]);
		printf("\n");
	}
	printf("released %d\n", released);
}

static void tell_wifi(void)
{
	wifi_event_sta_disconnected_t lost = { .reason = 15 };
	uint8_t text[46];
	int32_t length, first;
	printf("watch 0x%x", (unsigned)skerry_wifi_watch());
	printf(", reason %d\n", skerry_wifi_reason());
	if (handler == NULL)
		return;
	handler(NULL, WIFI_EVENT, WIFI_EVENT_STA_DISCONNECTED, &lost);
	handler(NULL, WIFI_EVENT, WIFI_EVENT_STA_CONNECTED, &lost);
	first = skerry_wifi_reason();
	printf("reason %d, then %d\n", first, skerry_wifi_reason());
	printf("server %d", skerry_time_server(text));
	skerry_time_request();
	length = skerry_time_server(text);
	printf(", then \"%.*s\"\n", (int)length, (const char *)text);
}

int main(int count, char **arguments)
{
	(void)count;
	scenario = arguments[1];
	tell_storage();
	if (is("well")) {
		tell_random();
		tell_partitions();
	}
	if (is("well") || is("no memory"))
		tell_wifi();
	return 0;
}

// The partitions of Moddable's desktop simulator, which its bootloader (`simulator/bootloader`) opens as well.

/** Of 4096 bytes each, by label. The outbox is as large as on the ESP32; a slot holds a desktop's firmware, which is larger. */
export const simulatorBlocks: Readonly<Record<string, number>> = Object.freeze({
  outbox: 64,
  ota_0: 2048,
  ota_1: 2048,
  otadata: 2,
});

/** Set for a firmware that a bootloader has started: what is done with the slots at a start has been done. */
export const bootedVariable = "SKERRY_BOOTED";

/** Exit status of a firmware that asks for another start. */
export const restartStatus = 82;

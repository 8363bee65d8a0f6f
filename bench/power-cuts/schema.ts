// The settings of the device whose power goes.
export const schema = {
  sampleSeconds: { type: "integer", min: 1, max: 3600, default: 60 },
  led: { type: "enum", values: ["off", "red", "blue"], default: "off" },
} as const;

// The module firmware imports as `skerry`.
export * from "skerry/src/index";

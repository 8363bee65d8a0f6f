// The module firmware imports as `skerry/host`.
export { host } from "skerry/hosts/moddable/host";

// The module firmware imports as `skerry/network`.
export { network } from "skerry/hosts/moddable/host";

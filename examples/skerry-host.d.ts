// `skerry/host` on Moddable: which host it is, the product manifest decides by platform.
import type { Host } from "../src/host.js";

export declare const host: Host;

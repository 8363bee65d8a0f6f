// The module firmware imports as `skerry/network`. Its type is spelled out: a product's compiler knows no module inside of firmware.
import { network as own } from "skerry/hosts/moddable/host";
import type { Network } from "../network/keeper.js";

export const network: Network = own;

// RSA parties of the larger sizes: slow to make, so only for the files that need them.
import { party } from "./maker.js";

export const rsa3072 = party("RSA-3072", "rsa3072");
export const rsa4096 = party("RSA-4096", "rsa4096");

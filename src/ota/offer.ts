// What a job document offers: an image, who vouches for it, and where its bytes are. Types only.

/** Where the bytes of the image are; sources are interchangeable, block by block. */
export type OfferSource =
  /** MQTT file stream. `fileId` is 0 to 255. */
  | { readonly stream: string; readonly fileId: number }
  /** HTTPS with ranges; the link may expire. */
  | { readonly url: string };

/** What AWS's CreateOTAUpdate says: a signature over the file itself. */
export interface PlainOffer {
  readonly kind: "plain";
  /** Bytes. */
  readonly size: number;
  /** `certfile`: names one of the signers; absent where the document names none. */
  readonly signer: string | undefined;
  readonly algorithm: "ecdsa" | "rsa";
  /** DER SEQUENCE { r, s }, or PKCS#1 v1.5. Over SHA-256 of the file. */
  readonly signature: Uint8Array;
  /** 0 to 255; 0 is firmware. */
  readonly fileType: number;
  readonly sources: readonly OfferSource[];
}

/** Our own: a signed manifest that names the file by its digest. */
export interface ManifestOffer {
  readonly kind: "manifest";
  /** The very bytes that are signed. */
  readonly manifest: Uint8Array;
  readonly signatures: readonly ManifestSignature[];
  readonly sources: readonly OfferSource[];
}

export interface ManifestSignature {
  /** 16 hexadecimal digits: the first 8 bytes of SHA-256 of the key's SubjectPublicKeyInfo. */
  readonly keyId: string;
  /** DER SEQUENCE { r, s }, or PKCS#1 v1.5, with SHA-256. */
  readonly signature: Uint8Array;
}

export type Offer = PlainOffer | ManifestOffer;

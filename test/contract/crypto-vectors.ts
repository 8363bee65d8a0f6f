// Known answers for the crypto contract, made once with OpenSSL: signatures of "abc" on both curves, and one RSA power.
import type { CurveName, HashName } from "../../src/host.js";

export interface EcdsaVector {
  readonly curve: CurveName;
  readonly hash: HashName;
  readonly point: string;
  /** r, then s. */
  readonly signature: string;
}

export const ecdsaVectors: readonly EcdsaVector[] = [
  {
    curve: "P-256",
    hash: "SHA-256",
    point:
      "049bfa085c19eb676cbaee38089de8dd6807e9bae6ab1090b69f69e1400336c5dcaaae2608e46bf3" +
      "62feed049c0247ee6378904fcea24575ca05e1db8a08b93bd9",
    signature:
      "62dcedf35145d93b7fec9bcaf01ac5c5466b644a51712ba4f16481fb0001aa5d93a4a7434a82c7ba" +
      "9e7755934246233c292963496ab37563fe7292692aabdc43",
  },
  {
    curve: "P-256",
    hash: "SHA-384",
    point:
      "047765f81fcfa1b2ab29284ab8c5a39da9bf880d22a9a675bbc8000e9da2b0b3b24166e53a18357a" +
      "ee6722c24b590cd602b84647d1cc73f39643f2da5b9973062f",
    signature:
      "2c6ca04a465f15f428fe544732e4048dbecbc48e205379eb980fc101fed32786f35a2ddc57296b44" +
      "09db5cdedb4628da2e982352d6dac621501db7ecf5f75118",
  },
  {
    curve: "P-256",
    hash: "SHA-512",
    point:
      "04279fa32f6c6efcca55560ed706f0096c6d24d8a489cef46039681160b85b7cabf3d638419713cf" +
      "b26fd719d1a1e34eb75732730331991bd92cce5ad67b0a322a",
    signature:
      "e4a22d33821bf341c65c642ccac6a6b88aaecb1e5a4ae865823a189dc269c6d2465b5d57af05dd65" +
      "733906e1837452c244c51d48783361c84ecdd213911ae9aa",
  },
  {
    curve: "P-384",
    hash: "SHA-256",
    point:
      "04bb8807a65287be0225d1c6f959acfc9d4b6b30e7311bf9ed55703dc192a2e19f89e75e9f6e3d41" +
      "b11c8781e0e3b64fd5fb7ca9e20d959f976147173741bd50ef972862b9d6f43ca117fbced9962eed" +
      "5437b0906146c8ae2e6f5290d5c3d94aca",
    signature:
      "9d932271fbc81051e70e3f81ed948c00c514a6338f2c5b01c2637a37c03afb24f75018248d1aa17f" +
      "abf58805cb7c8766ffaee343b85d27e9b01d6debd14961b66ae3d048b2aca9adb90d8d251dcdd18a" +
      "9b579e086c82f10d65373166088f161f",
  },
  {
    curve: "P-384",
    hash: "SHA-384",
    point:
      "04f240c839af3c0d0472a72b5c3a0c1220e36f7c2acbc41e1231d4db2eeef29e33d2f343e017b991" +
      "292c50b2b1cf08f992dd3b350a584bdf17fef052c6bc64561f83ba376fe5c60867680b7f7d37dae8" +
      "2fb3b0fe550c5355407408b0ceae5a9977",
    signature:
      "cb2b707e71c02030bcda46d005bcc38c92f8fa71c6e3a9105e18d78d98af5a6474e96e55ed43d383" +
      "7469e503db1e7f0f7b4139a2252525081a59fd4b39101ca073a8d42c7e1f60e2ff064b48250d44c3" +
      "692fb7b957ae77e92bec1ba879bbb1e3",
  },
  {
    curve: "P-384",
    hash: "SHA-512",
    point:
      "04c2ce3dcb9d9d2b798661ae2d7ddba88678cbe10f7d840c78dc6d5be660ec0bcba8d36c2fdbc4a3" +
      "772f1e1e7c55af26e15666eb0415770fbbf6f788242001b0bad2ceedc4c332cc57e66ba83d5de890" +
      "1741f1e36c8eb5089e7188fe62e38ff9cf",
    signature:
      "558a6912d52d1608bc9c6cebb5c2eb6657749d1fcff7c95fc96c2575d2435e6f538750ccb6023e3a" +
      "ab2578f6186e86fbdef95eceaeebb1a52bb37b2afcc46617173cb3eeaa40ced2559021cc2efe71c2" +
      "62e0092f4623c335ac929b3bae82957e",
  },
];

export const rsaVector = {
  modulus:
    "9cf06a5058827ef0158735d0c126ae6be380cd938cf33b9f549b60794dfe23c2668ce731fa0c980b" +
    "3eb5839aea7d248f8ccba3ffd463f1b53ea1366e637604843015a9768d21ffa4d8880d58b906d86f" +
    "bb59d4d50f57a670c0743acc647c2cf12c45236a9b396778d0b82a03a7ce25e060eafd4b42797372" +
    "4a1418e3c0c7f4c7d097d1ea30a4ead2963d8578730bddd1e05eec9139819dce055685009e079cee" +
    "859833f5ea6f76eb116412ef57ec5b2a46da621f3efbf533b2cb48a4cd997cf57df7f69de9d4ed7b" +
    "5c2638ffdb1f0f2781ced9640d14706853cd7f788a453e4a83da7af4024f2c479cd87ac6ead31a7c" +
    "18720bbd9a105f5deb3efe47cdffb355",
  exponent: "010001",
  input:
    "6b62ef0b83bb6f616850233294006c7aef2402434de15a081e06e33c4c07993bcf9cfbd74615e15f" +
    "ee46140f798e843b8a1dd24e2bac286a49ec7952884400861474dcca428e84303c3029558e5e270c" +
    "ed8fa2a1416ae797106e26c586c818fba566565be27e18e8b6c8c614024ff88d79378478c1ea5749" +
    "f3085601f3761b57f1252e8cf0e08fc5ecdfa2076ea53831b0cded739d8c799de3dc731fe29f454e" +
    "a44dff1f1d7ddc31f7424a1dec9385f07b7ae2f96b82c96b74bc7b9ba3f7583a3d6fa14d69ed4b1b" +
    "08ee086e0d06c6417eedce984315b16eeb819e1b7d1c7b358196bca8fb8caff41e24d1676c98d39e" +
    "2a9a788e5f6e7201fa9687b58840a1a3",
  output:
    "0001ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" +
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" +
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" +
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" +
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" +
    "ffffffff003031300d060960864801650304020105000420ba7816bf8f01cfea414140de5dae2223" +
    "b00361a396177a9cb410ff61f20015ad",
} as const;

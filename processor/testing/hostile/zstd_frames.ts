/**
 * Frames that Zstandard's own program has made, in base 64: every kind of block, of literals and of table.
 * @module
 */

/** A frame, and the number of bytes that it unpacks to. */
export interface ZstdFrame {
  readonly of: string;
  readonly bytes: number;
  readonly frame: string;
}

/** The frames; `zstd` 1.5 made them with the levels 1 to 22. */
export const ZSTD_FRAMES: readonly ZstdFrame[] = [
  {
    of: "one event",
    bytes: 149,
    frame: [
      "KLUv/QRY5QMAokcaHHDHOkEonpakE0YQ2CsQJ3BpPLgNiRDWisT/H2aJLyvWsUzzMIAhjQGU13QBspBitcf8eBXGalc5Xnx9lw6cUDvNvKbPBz",
      "JLYS4xwut7y4Oi6c2p6Gkouqbvcu1IEudUX99jYBLa0EcEBQA1ZdCcDgNu5ym8wcN8ApFflhA=",
    ].join(""),
  },
  {
    of: "events, level 1",
    bytes: 1767,
    frame: [
      "KLUv/WTnBSUOAKaZRSBgadMGE51A+7ZdRy37ZvIiK+AjQiu7N1d+lYPW4WCQA0kAPwA0AAgChTnI4QzkbumlzvQTyCd3yd5+kHQYA6VxLAaM5i",
      "CHsziUAkXjwRwknYVZEEAOh5NHY3E8DnI4t62/Xk2Wg6SzCGgOloTlMATIVqcJpcLCSEgsBEpf5vX9iF+I7ote+4TXNBRFAqFJLBYK/miPed9Y",
      "9m6EqtqoUfV+ycIA0HDQlaFTMBqLYAJ8zMiw7ikNr419iPN1xsonVj7M65q2XunRVeuX7Im6FxniO1fqXs1KNZkdGS3CZc7WwvMFDUexWtusUB",
      "Nj448781C14WWlpp8esin/pWiNKMsw3fG1ffv21LhwNfmw0tId9crvxsVXTqgBoTTGmaE2+7EG8MKRuW4SYEA5AgZiCDKSATwxxR/F0GzhVBzu",
      "tGU44IZ406c7EyWHCQhCWPmeglRT7mhuP1Q5LpSZobiYP428lzAfOta9P6W8ovH5Yn8L4kWvV17U70tC8VIlLfsOk3vGlIA3K2Pvt2z6XKTm/b",
      "G6dbXSYHRwwSOrO8yU9CkWtAozFg0pM1I100ouUYbZr970RElUI1sA4JTqYEfwM6sBik1X+g==",
    ].join(""),
  },
  {
    of: "events, level 19, no size, no checksum",
    bytes: 2068,
    frame: [
      "KLUv/QBofQ0AphtHGmBPOkvb9LLKR7BqQKQENleS3WRLsNkRpAROTAA7ADwAaZa8b56ATONezinRkPwSIgRBc7jFckVtCM+gOLgbMBpGHM4zSY",
      "7GY0mNCiItnEiKXAx7A4okTShNQND8uTHq3yA1AdQoCs8jVVKDCdto2bxdv4h5WYYoNXH3U3NdvdRvU7PekC/vIbdZ2651nd45fzUitHfkPeN1",
      "rtfbtrt6RK9p4jASEooGqLNtT3mNsZgPDysXHfr37uc6n9f+6xUjOlbu9nvOu/LEtFpEv9mJjs+eVqq2r/WH9JE4CQTkQSgUjmd2mQatOFPdvS",
      "5X21D5rde0tvVsr3rRYpumoj7qVvKvdV2iR93d22Pm5LL3s9R130tbM+3KzEvUsg1OqEEojDBoCOJhnzEgLU2hOhKAMRjBKgdRcuKJv5n4+BOe",
      "jIFRnbTiQ2hygJ1fTFSyUiMNR3aujpFbOxhjhn1YveX3JCt+Vim2cgouAPt7VRqN0bYC4/odj9cOO5l3qhd11mKItwcD2RQTUbn2mkymAkL5ki",
      "yo1KXLc/IXivmD5mpG2eE5QMaFEMEsAAHfdBU=",
    ].join(""),
  },
  {
    of: "two letters",
    bytes: 1200,
    frame: [
      "KLUv/WSwAz0JAJQCYmJiYWJhYmFhYWFiYmFiYWFhYmJhYWJiYmJhYmFiYWFhYmJhYWFiYmGAnqiQz2ZgApkp0w4QOGVEizoy7AfmrI8YutQwxi",
      "yN8ectFga/5vwufaJUDjFoza3M8EUKgoU3nGl4vDww2hIp39yTaf2QRSxMshp5ANhDwNbLF2RstVrUGTHhkWetQmGT7t+gVZiV87EkkQCxcEFA",
      "qTDE7yZMPff8ppERLBQdVWoG0gYQ8bCMd+m8uIruUZZ68tPQJhHkFmDXZcsDVcTNqo4ihhk5neUKKLvRM/sHvehJjUYfFMyZoMpgaqBzNBebtG",
      "ATTgeZO8jhgFTe64HxmW8cqMQDgwHIwEQmBXraERP5IrExhy2omdSDWLzHDSm0Dyxm7YMbOBtrbgpnqckm",
    ].join(""),
  },
  {
    of: "few letters, Huffman in four streams",
    bytes: 1500,
    frame: [
      "KLUv/QRYjQ8AllYdBvA5Ms3nHhkAGgAbANjEpn0joRbS9syCJ0qqTLuUKXwLY1kSdWUVqgQlt5fLSWxupgyyWyn2KSqmh0vvwqeiEB6YSGiRRD",
      "8d7QR2xZzOYlPipYpsFvT9iSSYSWbGROR5shGhrd/DDOOB4hBLykRHG7KNvMAegMaooTlTRCMFSSobByBCQgxz6QMQEDInbQYpeXv0R86b7EJc",
      "GtusYkkm1tMYWyLOhGfCuvOT36wMtfmo2AwE69Zo2oBKAlWDF2/bQQZ+gDGmdt6HnydiClzJxt8Cr1d/9a40DuBRKyhFOhYBh7UXEjvqg+AKNZ",
      "XLKDd45NxYdoaRHOR4PzHSXBof5Dtk8S3wbaB/1o4r2LYtdiwGCgb1yYb4ZUMaySZQ0zLgyPNVPLWOrrepgyxUHmcxklSUBDXrW9SwA1yxFapm",
      "nR8THbjJFpVO58/0Z2t68tIGQy/YwC4zK7Rz44rRo3gOmQg9MVtVHsF81P5QaEA1kCxu1naI5u4ZBiVtdiZehqi6RV3IdouSCTbdrpQtpOPNNc",
      "GXSp5yfCvBxTpre8nZGJWVMleFjuMqmXZtMBZ6GboW6F11uV3IDjIg3+mMCjISgABYQe3q2Iz9nyuYtlDhhNv2sVIvF4hYw4K/lPqmW0UximD5",
      "TU//iEVEqSadqwKaQefJ",
    ].join(""),
  },
  {
    of: "all bytes, stored",
    bytes: 150,
    frame: [
      "KLUv/SSWsQQApksalDvWWBOW0+7l3kf8ckxde3TynxiQNdNLCEt2NKEPQrMNT5OCCxZtBoYDPlrpt3+pGKyhXN+uKf1gVxVY8pbL4sbMrFyvdX",
      "vuafafBxgU7zaTL+7EJyAopZmTDizkM+RxYG85scmsWi2bi0NEqwWepbKoqPVp0aEKyj8q1gXjD0c+s89a/QUZKI44qsPKLoQ2MOkXh6pF1g==",
    ].join(""),
  },
  {
    of: "repeated byte",
    bytes: 300000,
    frame: "KLUv/QRYVAAAEHh4AQD7/znAAgIAEHgDnwR4j3Kbog==",
  },
  {
    of: "repeated words over several blocks",
    bytes: 408000,
    frame: "KLUv/aDAOQYA9AAAiGNsaWNrcyBhbmQgbW9yZSAsAwDf/zszrLhrsLkETAAACG4BAPz/ORACTAAACGMBAPz/ORACRQAACGMBALyZB0I=",
  },
  {
    of: "empty",
    bytes: 0,
    frame: "KLUv/SQAAQAAmenYUQ==",
  },
  {
    of: "short runs",
    bytes: 2414,
    frame: [
      "KLUv/WRuCHUGAMJFDg3QtQEphVb2JokBAFwEYeJc4ewCERXJIqCpPcxD/16hMiwX3znhoiLZA6M0XOasONUYdOYA2jJnAmugkLgOcMOSNDmW2z",
      "MJ9BzisVU5bmGXOTZVRgo2vOP2kWef7IeizdCngfhoJBy6N8IdHiIBAu8AYcW9Gow6wSE6/Fo7m7cBKKMH/sPZYLVKBx44fbIICbZxo/wTxhBk",
      "1JUizqEG0jEF2kASwv2JxHuEMuR8JGVjIEpHFmZ3b34I+sd6J3Q/PB4Oc4eNiCOuid8OJXAw+Q==",
    ].join(""),
  },
  {
    of: "words far apart",
    bytes: 3212,
    frame: [
      "KLUv/QSInREAttEyF4AnD0erJDlaRdsJIftlRDHHiAgTTZDpLgAqACsArtKRiP/UuFIfos4ugyl/GBQCD5LI7V2AyjYmahYVggDAwjIoIQwEu9",
      "Z2XXdqA0vRePfYxJaOmWEVd26iKkqCT79qFdcX9XhG+I942HgtCnk5P2SnS2q4K4W79mxksQRN+lhDk0UfRMFt3imq5AJjog/TSyNH2+rx/aEz",
      "FNNepX16I1qMFHMq6o6ZbX4hKHkXx+L7gMySdG0LEfPKC0pHLSvpxc56LHHFPUgtBQ2A86gh8OpszQGAJKA6mrYBEeQwgRUSZUQCCZ0yNAZVSU",
      "yCNUI7735p+DcQ7FjyUhhKUK9KiRLLWlb6UvY2SblsuFH6w0Ep/QtRk9DfERsB0wApIv6e7eST7z/6yNCZMiVKYAUgP7nE0fdkff+kGO9If+Ch",
      "ziuy466DUxWy4MZTnqAaY9ml+BYAJn5xQQM8wzwoomcMGBM2YPoHPOTdg8SCG/7kVELKLoEGh0GvoMYtQ14OsZX0wD+ED24sWZgZwlUQYMgv7h",
      "xTNd6GQCifjAi+SBPCiE7EYHqUiAMOrxvQTlRCJZcqZXgnfg9ZF8jn1lVVgH2MNYn0/Uvyzg7PfWFZO5Qn9yJgaq/eeZicc0NoZTKeB1xascxR",
      "VBNLAWLBPOh+ILuGlBzI/21vijgqsy+7oU6rRMJUdurMTwRQaPnMXTmizvdpgtLsDDScC/wk5ew4Qfz7gV4K3SAZJGtSfHEr6F8GoQYGHlj6",
    ].join(""),
  },
];

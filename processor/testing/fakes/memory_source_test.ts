import { type LogRecord, MemorySource } from "./memory.ts";
import { sourceContract } from "../contracts/source_contract.ts";

sourceContract("memory source", (partitions) => {
  const log: LogRecord[][] = Array.from({ length: partitions }, () => []);
  return Promise.resolve({
    open: () => new MemorySource(log, 100),
    append: (partition, records) => Promise.resolve(void log[partition]!.push(...records)),
    close: () => Promise.resolve(),
  });
});

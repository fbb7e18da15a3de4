/**
 * Plans all stacks, asks, and applies them one after the other.
 * @module
 */
import { describe, isWithin, losses, type Plan } from "./plan.ts";
import { type Stack, TerraformFailed } from "./terraform.ts";

/** How a rollout speaks with who started it. */
export interface Dialog {
  say(line: string): void;
  /** Whether to go on. */
  ask(question: string): boolean;
}

/** What a rollout came to. */
export type Outcome = "declined" | "nothing to do" | "done";

/**
 * Brings all stacks to what is synthesized. Plans all of them first: nothing is applied before all that can be planned
 * has been shown. A stack of which another stack's changes decide is planned again when that one is applied; if it then
 * does more than was shown, that is shown and asked for, too.
 *
 * @throws {Error} if something that holds data would be lost and is not in `mayLose`
 */
export async function rollOut(stacks: readonly Stack[], mayLose: readonly string[], dialog: Dialog): Promise<Outcome> {
  for (const stack of stacks) await stack.init();
  const shown = await planAll(stacks);
  for (const plan of shown.values()) {
    for (const line of describe(plan)) dialog.say(line);
    refuseLosses(plan, mayLose);
  }
  const changing = new Set([...shown.values()].filter(({ applies }) => applies).map(({ stack }) => stack));
  if (changing.size === 0) return "nothing to do";
  if (!dialog.ask("Apply this?")) return "declined";
  const applied = new Set<string>();
  for (const stack of stacks) {
    const isMoved = stack.needs.some((name) => applied.has(name));
    if (!changing.has(stack.name) && !isMoved) continue;
    if (isMoved) {
      const now = await stack.plan();
      if (!now.applies) continue;
      if (!isWithin(now, shown.get(stack.name)!)) {
        for (const line of describe(now)) dialog.say(line);
        refuseLosses(now, mayLose);
        if (!dialog.ask("This was not shown before. Apply it?")) return "declined";
      }
    }
    await stack.apply();
    applied.add(stack.name);
  }
  return "done";
}

/** The plan for every stack, as far as it can be known before any of them is applied. */
async function planAll(stacks: readonly Stack[]): Promise<Map<string, Plan>> {
  const plans = new Map<string, Plan>();
  const fresh = new Set<string>();
  for (const stack of stacks) {
    if ((await stack.resources()).length === 0) fresh.add(stack.name);
    const isBlocked = stack.needs.some((name) => fresh.has(name));
    plans.set(stack.name, isBlocked ? await stack.planOfNew() : await planOf(stack, plans));
  }
  return plans;
}

/** A stack can't be planned while one that it needs is half applied: its outputs may be missing. */
async function planOf(stack: Stack, before: ReadonlyMap<string, Plan>): Promise<Plan> {
  const isWaiting = stack.needs.some((name) => before.get(name)?.applies);
  return await stack.plan().catch((error) => {
    if (!isWaiting || !(error instanceof TerraformFailed) || !/Unsupported attribute/.test(error.message)) throw error;
    return { stack: stack.name, applies: true, changes: [] };
  });
}

function refuseLosses(plan: Plan, mayLose: readonly string[]): void {
  const lost = losses(plan).filter((name) => !mayLose.includes(name));
  if (lost.length > 0) throw new LostData(lost);
}

/** Something that holds data would be lost and is not named. */
export class LostData extends Error {
  override name = "LostData";

  constructor(lost: readonly string[]) {
    super(`refused, since data would be lost: ${lost.join(", ")}. To lose it, name it: --destroy ${lost.join(",")}`);
  }
}

/** Destroys all stacks, those first that others do not need; returns false if it was declined. */
export async function tearDown(stacks: readonly Stack[], dialog: Dialog, question: string): Promise<boolean> {
  for (const stack of stacks) await stack.init();
  const there = new Set<Stack>();
  for (const stack of stacks) {
    const count = (await stack.resources()).length;
    if (count === 0) continue;
    there.add(stack);
    dialog.say(`${stack.name}: ${count} to destroy`);
  }
  if (!dialog.ask(question)) return false;
  for (const stack of stacks.toReversed().filter((stack) => there.has(stack))) {
    await stack.plan("destroy");
    await stack.apply();
  }
  return true;
}

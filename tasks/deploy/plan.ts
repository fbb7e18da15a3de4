/**
 * What Terraform plans for a stack, in few words, and what holds data in it.
 * @module
 */

/** What happens to a resource. */
export type Action = "create" | "change" | "replace" | "destroy";

/** A resource that changes. */
export interface Change {
  /** Stack and place in it, such as `stream/kafka-3/data`: the name by which it is named on the command line. */
  readonly name: string;
  readonly type: string;
  readonly action: Action;
  /** Attributes that change, or that require the replacement. */
  readonly because: readonly string[];
}

/** A plan for a stack. */
export interface Plan {
  readonly stack: string;
  /** Whether there is anything to apply: a change of a resource or of an output. */
  readonly applies: boolean;
  readonly changes: readonly Change[];
}

/** Types of resources that hold data which nothing can make again. */
const HOLDS_DATA: ReadonlySet<string> = new Set(["aws_db_instance", "aws_ebs_volume"]);

/** What this reads of `terraform show -json PLAN`. */
interface PlanJson {
  readonly applyable: boolean;
  readonly resource_changes?: readonly {
    readonly address: string;
    readonly type: string;
    readonly name: string;
    readonly mode: string;
    readonly change: {
      readonly actions: readonly string[];
      readonly before: Readonly<Record<string, unknown>> | null;
      readonly after: Readonly<Record<string, unknown>> | null;
      readonly after_unknown?: Readonly<Record<string, unknown>>;
      readonly replace_paths?: readonly (readonly (string | number)[])[];
    };
  }[];
}

/** Reads Terraform's JSON of a plan. */
export function readPlan(stack: string, json: string): Plan {
  const { applyable, resource_changes: all = [] } = JSON.parse(json) as PlanJson;
  const changes = all.filter(({ mode }) => mode === "managed").flatMap(({ type, name, change }) => {
    const action = actionOf(change.actions);
    if (action === null) return [];
    const replacing = new Set(change.replace_paths?.map(([first]) => String(first)));
    const because = action === "replace" ? [...replacing] : action === "change" ? changed(change) : [];
    return [{ name: nameOf(stack, name), type, action, because }];
  });
  return { stack, applies: applyable, changes };
}

/** The plan for a stack that does not exist yet, from its synthesized JSON. */
export function planOfNew(stack: string, resources: Readonly<Record<string, object>>): Plan {
  const changes = Object.entries(resources).flatMap(([type, named]) =>
    Object.keys(named).map((name): Change => ({ name: nameOf(stack, name), type, action: "create", because: [] }))
  );
  return { stack, applies: true, changes };
}

/** CDKTF joins the parts of a place with `_` and adds a hash if there are several. */
function nameOf(stack: string, name: string): string {
  return `${stack}/${name.replace(/_[0-9A-F]{8}$/, "").replaceAll("_", "/")}`;
}

function actionOf(actions: readonly string[]): Action | null {
  if (actions.includes("delete")) return actions.includes("create") ? "replace" : "destroy";
  if (actions.includes("create")) return "create";
  return actions.includes("update") ? "change" : null;
}

function changed({ before, after, after_unknown: unknown = {} }: {
  readonly before: Readonly<Record<string, unknown>> | null;
  readonly after: Readonly<Record<string, unknown>> | null;
  readonly after_unknown?: Readonly<Record<string, unknown>>;
}): string[] {
  const names = Object.keys({ ...before, ...after });
  const differing = names.filter((name) => JSON.stringify(before?.[name]) !== JSON.stringify(after?.[name]));
  const known = differing.filter((name) => unknown[name] !== true);
  return known.length > 0 ? known : differing;
}

/** What holds data and would be lost by a plan, by name. */
export function losses({ changes }: Plan): string[] {
  const lost = changes.filter(({ type, action }) =>
    HOLDS_DATA.has(type) && (action === "destroy" || action === "replace")
  );
  return lost.map(({ name }) => name);
}

/** Whether `now` does nothing that `shown` does not say. */
export function isWithin(now: Plan, shown: Plan): boolean {
  const said = new Map(shown.changes.map(({ name, type, action }) => [`${type} ${name}`, action]));
  return now.changes.every(({ name, type, action }) => said.get(`${type} ${name}`) === action);
}

const SIGNS = { create: "+", change: "~", replace: "±", destroy: "-" } as const;
const WORDS = {
  create: "to create",
  change: "to change",
  replace: "to replace (destroyed and created again)",
  destroy: "to destroy",
} as const;

/** Describes a plan: counts, then everything that is not simply created. */
export function describe({ stack, applies, changes }: Plan): string[] {
  if (changes.length === 0) return [`${stack}: ${applies ? "only outputs change" : "nothing changes"}`];
  const counts = (Object.keys(WORDS) as Action[]).flatMap((action) => {
    const count = changes.filter((change) => change.action === action).length;
    return count === 0 ? [] : [`${count} ${WORDS[action]}`];
  });
  const lines = changes.filter(({ action }) => action !== "create" || counts.length > 1).map((change) => {
    const { action, name, type, because } = change;
    const data = losses({ stack, applies, changes: [change] }).length > 0 ? "; IT HOLDS DATA" : "";
    return `  ${SIGNS[action]} ${name} (${type})${because.length > 0 ? `: ${because.join(", ")}` : ""}${data}`;
  });
  return [`${stack}: ${counts.join(", ")}`, ...lines];
}

/** What is seen on the page. */
import type { SeenColumn, SeenPanel } from "../answer.ts";
import { writtenOn } from "./canvas.ts";

/** Whether a text does not fit its element. */
function isCut(element: Element): boolean {
  const { overflowX, textOverflow } = getComputedStyle(element);
  return element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0 &&
    (textOverflow === "ellipsis" || (overflowX === "hidden" && element.children.length === 0));
}

/** Whether a text of a drawing is partly outside of it. */
function isOutside(text: SVGTextElement): boolean {
  const [inner, outer] = [text.getBoundingClientRect(), text.ownerSVGElement!.getBoundingClientRect()];
  return inner.left < outer.left - 1 || inner.right > outer.right + 1;
}

function cutIn(panel: HTMLElement): string[] {
  const all = [...panel.querySelectorAll("*")];
  return [
    ...all.filter(isCut).map(({ textContent }) => textContent ?? ""),
    ...[...panel.querySelectorAll<SVGTextElement>("svg text")].filter(isOutside).map(({ textContent }) => textContent!),
    ...[...panel.querySelectorAll("[role=grid]")].filter(({ scrollWidth, clientWidth }) =>
      scrollWidth > clientWidth + 1
    ).map(() => "columns outside of the panel"),
    ...[...panel.querySelectorAll(".markdown-html")].filter(({ scrollHeight, clientHeight }) =>
      scrollHeight > clientHeight + 1
    ).map(({ scrollHeight, clientHeight }) => `a text of ${scrollHeight} pixels in ${clientHeight}`),
    ...[...panel.querySelectorAll("canvas")].flatMap(writtenOn).filter(({ fits }) => !fits).map(({ text }) => text),
  ];
}

/** Pixels that are neither transparent nor grey, as lines and areas are. */
function colouredPixels(canvas: HTMLCanvasElement): number {
  const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let at = 0; at < data.length; at += 4) {
    const [red, green, blue, alpha] = [data[at]!, data[at + 1]!, data[at + 2]!, data[at + 3]!];
    if (alpha > 0 && Math.max(red, green, blue) - Math.min(red, green, blue) > 40) count++;
  }
  return count;
}

function isFilled(element: Element): boolean {
  const { backgroundColor, backgroundImage } = getComputedStyle(element);
  const { width, height } = element.getBoundingClientRect();
  const hasColor = backgroundColor !== "rgba(0, 0, 0, 0)" || backgroundImage !== "none";
  return hasColor && width >= 1 && height >= 1;
}

/** How to count what a kind of panel has drawn. */
const MARKS: Readonly<Record<string, (content: Element) => number>> = {
  table: (content) => content.querySelectorAll("[role=row]:has([role=gridcell])").length,
  timeseries: (content) =>
    [...content.querySelectorAll("canvas")].reduce((sum, canvas) => sum + colouredPixels(canvas), 0),
  barchart: (content) =>
    [...content.querySelectorAll("rect")].filter((rect) => rect.getBoundingClientRect().height >= 1).length,
  bargauge: (content) => [...content.querySelectorAll("*")].filter(isFilled).length,
  text: (content) => content.children.length,
  stat: (content) => content.textContent === "" ? 0 : 1,
};

function columnsOf(panel: HTMLElement): SeenColumn[] {
  const rows = [...panel.querySelectorAll("[role=row]:has([role=gridcell])")]
    .map((row) => [...row.querySelectorAll<HTMLElement>("[role=gridcell]")].map(({ innerText }) => innerText.trim()));
  return [...panel.querySelectorAll<HTMLElement>("[role=columnheader]")].map(({ innerText }, column) => ({
    heading: innerText.trim(),
    cells: rows.map((row) => row[column] ?? ""),
  }));
}

/** Looks at all panels. */
export function inspected(): SeenPanel[] {
  return [...document.querySelectorAll<HTMLElement>("[data-panel]")].map((panel) => {
    const content = panel.querySelector("[data-content]");
    return {
      title: panel.dataset["panel"]!,
      fault: panel.querySelector("[data-broken]")?.textContent ?? null,
      isEmpty: panel.querySelector("[data-nothing]") !== null,
      marks: content === null ? 0 : MARKS[panel.dataset["type"]!]?.(content) ?? 0,
      cut: cutIn(panel),
      text: panel.innerText,
      columns: columnsOf(panel),
      labels: [...panel.querySelectorAll("canvas")].flatMap(writtenOn).map(({ text }) => text),
    };
  });
}

/** Draws one dashboard as Grafana lays it out. */
import { createTheme, dateTimeFormat, type GrafanaTheme2, ThemeContext } from "@grafana/data";
import { GlobalStyles, Icon, PanelChrome } from "@grafana/ui";
import "@fontsource/inter/400.css";
import "@fontsource/inter/500.css";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";
import type { Answer, Drawing, SeenPanel } from "../answer.ts";
import { watchCanvases } from "./canvas.ts";
import type { Panel } from "./frames.ts";
import { inspected } from "./inspect.ts";
import { PanelContent } from "./panels.tsx";

/** Grafana's grid: columns, height of a row, and the space between panels. */
const COLUMNS = 24;
const ROW_PX = 30;
const SPACE_PX = 8;
const EDGE_PX = 16;

/** Frames for which nothing must change. */
const QUIET_FRAMES = 15;

interface Dashboard {
  readonly title: string;
  readonly panels: readonly Panel[];
}

function Heading(
  { drawing, theme }: {
    readonly drawing: Drawing;
    readonly theme: GrafanaTheme2;
  },
) {
  const { title } = drawing.dashboard as Dashboard;
  const time = (ms: number) => dateTimeFormat(ms, { timeZone: "utc", format: "YYYY-MM-DD HH:mm" });
  const box = {
    border: `1px solid ${theme.colors.border.medium}`,
    borderRadius: 2,
    padding: "5px 10px",
  };
  return (
    <div style={{ padding: `12px ${EDGE_PX}px 4px` }}>
      <div
        style={{
          display: "flex",
          justifyContent: "space-between",
          alignItems: "center",
          marginBottom: 10,
        }}
      >
        <span style={{ fontSize: 18, fontWeight: 500 }}>{title}</span>
        <span style={box}>
          {time(drawing.fromMs)} to {time(drawing.toMs)} UTC
        </span>
      </div>
      <div style={{ display: "flex", gap: 8, flexWrap: "wrap" }}>
        {Object.entries(drawing.variables).map(([label, value]) => (
          <span key={label} style={box}>
            <span
              style={{
                color: theme.colors.text.secondary,
                marginRight: 10,
                fontWeight: 500,
              }}
            >
              {label}
            </span>
            {value}
          </span>
        ))}
      </div>
    </div>
  );
}

function Place(
  { panel, answer, unit }: {
    readonly panel: Panel;
    readonly answer: Answer | undefined;
    readonly unit: number;
  },
) {
  const { x, y, w, h } = panel.gridPos;
  const place = {
    left: EDGE_PX + x * unit,
    top: y * (ROW_PX + SPACE_PX),
    width: w * unit - SPACE_PX,
    height: h * ROW_PX + (h - 1) * SPACE_PX,
  };
  if (panel.type === "row") {
    return (
      <div
        style={{
          position: "absolute",
          ...place,
          display: "flex",
          alignItems: "center",
          gap: 8,
          fontWeight: 500,
        }}
      >
        <Icon name={panel.collapsed ? "angle-right" : "angle-down"} />
        {panel.title}
      </div>
    );
  }
  const titleItems = panel.timeFrom === undefined ? undefined : (
    <span style={{ fontSize: 12, opacity: 0.8 }}>
      Last {panel.timeFrom.replace("d", " days").replace("h", " hour")}
    </span>
  );
  return (
    <div data-panel={panel.title} data-type={panel.type} style={{ position: "absolute", ...place }}>
      <PanelChrome
        title={panel.title}
        description={panel.description}
        titleItems={titleItems}
        padding="md"
        width={place.width}
        height={place.height}
      >
        {(width, height) => (
          <PanelContent
            panel={panel}
            answer={answer!}
            width={width}
            height={height}
          />
        )}
      </PanelChrome>
    </div>
  );
}

function Page(
  { drawing, theme }: {
    readonly drawing: Drawing;
    readonly theme: GrafanaTheme2;
  },
) {
  const { panels } = drawing.dashboard as Dashboard;
  const unit = (document.documentElement.clientWidth - 2 * EDGE_PX + SPACE_PX) /
    COLUMNS;
  const rows = Math.max(...panels.map(({ gridPos: { y, h } }) => y + h));
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <Heading drawing={drawing} theme={theme} />
      <div
        id="drawn"
        style={{
          position: "relative",
          height: rows * (ROW_PX + SPACE_PX) + EDGE_PX,
        }}
      >
        {panels.map((panel) => (
          <Place
            key={panel.id}
            panel={panel}
            answer={drawing.answers[panel.id]}
            unit={unit}
          />
        ))}
      </div>
    </ThemeContext.Provider>
  );
}

/**
 * Ends when nothing on the page has changed for some frames: icons are fetched, and graphs drawn, after their panels.
 * Frames instead of a time, because a busy machine has fewer of them.
 */
async function settled(): Promise<void> {
  let quiet = 0;
  const observer = new MutationObserver(() => quiet = 0);
  observer.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
  for (; quiet < QUIET_FRAMES; quiet++) {
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  }
  observer.disconnect();
}

watchCanvases();
// Labels on canvases are measured as soon as they are drawn.
await Promise.all([400, 500].map((weight) => document.fonts.load(`${weight} 12px Inter`)));
const root = createRoot(document.querySelector("#page")!);
let drawings = 0;

/** Draws a dashboard instead of the one before, and says what is seen then. */
async function draw(drawing: Drawing): Promise<SeenPanel[]> {
  const theme = createTheme({ colors: { mode: drawing.theme } });
  document.body.style.background = theme.colors.background.canvas;
  flushSync(() => root.render(<Page key={drawings++} drawing={drawing} theme={theme} />));
  await settled();
  return inspected();
}

Object.assign(globalThis, { draw });

/** Texts on canvases, which the document does not know: labels of axes. */

/** A text on a canvas. */
export interface Written {
  readonly text: string;
  /** Whether all of it is on the canvas. */
  readonly fits: boolean;
}

const WRITTEN = new WeakMap<HTMLCanvasElement, Written[]>();

/** The texts of a canvas since it was last cleared. */
export function writtenOn(canvas: HTMLCanvasElement): readonly Written[] {
  return WRITTEN.get(canvas) ?? [];
}

/** Begins to notice what is written on canvases. */
export function watchCanvases(): void {
  const { fillText, clearRect } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...rest) {
    fillText.call(this, text, x, y, ...rest);
    const all = WRITTEN.get(this.canvas) ?? [];
    WRITTEN.set(this.canvas, [...all, { text, fits: fitsOn(this, text, x, y) }]);
  };
  CanvasRenderingContext2D.prototype.clearRect = function (...rect) {
    clearRect.apply(this, rect);
    WRITTEN.delete(this.canvas);
  };
}

function fitsOn(context: CanvasRenderingContext2D, text: string, x: number, y: number): boolean {
  const { actualBoundingBoxLeft: left, actualBoundingBoxRight: right } = context.measureText(text);
  const transform = context.getTransform();
  return [x - left, x + right].map((end) => transform.transformPoint(new DOMPoint(end, y)))
    .every((end) =>
      end.x >= -1 && end.x <= context.canvas.width + 1 && end.y >= -1 && end.y <= context.canvas.height + 1
    );
}

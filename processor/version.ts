/** Version of the program, as in the changelog. */
export const VERSION = "1.0.0";

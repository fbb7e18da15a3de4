/** Version of the program, as in the changelog. */
export const VERSION = "0.1.0";

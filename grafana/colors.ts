/**
 * Colours that mean the same in every panel: one for each event type, outcome and severity.
 * @module
 */

/** Colours by the name of a series or value. */
export type Colors = Readonly<Record<string, string>>;

/** Event types, from the first step to the purchase, and those beside. */
export const EVENT_COLORS: Colors = {
  page_view: "blue",
  search: "purple",
  add_to_cart: "orange",
  remove_from_cart: "dark-red",
  checkout: "dark-yellow",
  purchase: "green",
  share: "light-orange",
  wishlist_add: "light-red",
  video_play: "light-purple",
  newsletter_signup: "dark-purple",
};

/** What became of a record. */
export const OUTCOME_COLORS: Colors = { stored: "green", duplicate: "yellow", refused: "red" };

/** States of an alert, and how severe it is. */
export const ALERT_COLORS: Colors = { firing: "red", pending: "orange", critical: "red", warning: "orange" };

/** New users stand out from those who return. */
export const USER_COLORS: Colors = { new: "green", returning: "blue" };

/** This week's line is in front of last week's. */
export const WEEK_COLORS: Colors = { today: "blue", "a week before": "orange" };

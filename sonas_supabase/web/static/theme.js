// Whether an element is light or dark: as the page around it is, whatever the system prefers.

const DARK_BELOW = 0.4;

// A page says its scheme by `color-scheme`, which is inherited. One that only paints itself dark is judged by what it
// paints behind the element.
export function followTheme(element, changed) {
  let scheme = null;
  const judge = () => {
    const said = element.getAttribute("theme");
    element.style.colorScheme = "";
    const declared = getComputedStyle(element).colorScheme;
    const now = ["light", "dark"].includes(said) ? said : declared === "normal" ? behind(element) : "";
    element.style.colorScheme = now;
    const key = `${now} ${declared} ${getComputedStyle(element).color}`;
    if (scheme !== null && scheme !== key) changed();
    scheme = key;
  };
  const watch = new MutationObserver(judge);
  const filter = { attributes: true, attributeFilter: ["class", "style", "data-theme", "data-color-scheme", "theme"] };
  for (const one of [document.documentElement, document.body]) watch.observe(one, filter);
  watch.observe(element, { attributes: true, attributeFilter: ["theme"] });
  for (const media of ["(prefers-color-scheme: dark)", "print"]) matchMedia(media).addEventListener("change", judge);
  judge();
}

function behind(element) {
  for (let one = element.parentElement; one; one = one.parentElement ?? one.getRootNode().host) {
    const [red, green, blue, alpha = 1] = (getComputedStyle(one).backgroundColor.match(/[\d.]+/g) ?? []).map(Number);
    if (alpha > 0.5) return (0.299 * red + 0.587 * green + 0.114 * blue) / 255 < DARK_BELOW ? "dark" : "light";
  }
  return "light";
}

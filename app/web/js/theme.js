// Runs before the page is drawn, so that a chosen theme does not flash: no module, which would come too late.
(() => {
  const chosen = localStorage.getItem("demur.theme");
  const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();

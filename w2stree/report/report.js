// Moves the view to the place that a link names. Without it the link leads to the view as it is.
document.addEventListener("click", ({ target }) => {
  const place = target.closest("[data-place]")?.dataset.place;
  if (place) document.querySelector("iframe").contentWindow.postMessage(place, "*");
});

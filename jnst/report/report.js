"use strict";
// The slider between before and after; without this they stand side by side.
for (const figure of document.querySelectorAll("figure.compare")) {
  const [both, input] = [figure.querySelector(".both"), figure.querySelector("input")];
  const show = () => figure.style.setProperty("--cut", `${input.value}%`);
  const drag = (event) => {
    if (event.buttons !== 1) return;
    const box = both.getBoundingClientRect();
    input.value = (100 * (event.clientX - box.left)) / box.width;
    show();
  };
  input.addEventListener("input", show);
  both.addEventListener("pointerdown", drag);
  both.addEventListener("pointermove", drag);
  figure.querySelector("label").hidden = false;
  figure.classList.add("live");
  show();
}

// What makes the pages quicker to use. All of it works without this: links lead to the same pages.
"use strict";

const still = matchMedia("(prefers-reduced-motion: reduce)");

// Pictures: the kept one comes with the page, the sharp one where the reader stays, two at once.
let loading = 0;
let settling = 0;

function isOnScreen(image) {
  const box = (image.closest("li") ?? image).getBoundingClientRect();
  return box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
}

function sharpen() {
  for (const image of document.querySelectorAll("img[data-sharp]")) {
    if (loading === 2) return;
    if (!isOnScreen(image)) continue;
    const sharp = new Image();
    sharp.src = image.dataset.sharp;
    image.removeAttribute("data-sharp");
    loading += 1;
    sharp.decode().then(() => { image.src = sharp.src; }, () => {}).finally(() => { loading -= 1; sharpen(); });
  }
}

function settle() {
  clearTimeout(settling);
  settling = setTimeout(sharpen, 150);
}

addEventListener("scroll", settle, { capture: true, passive: true });
addEventListener("resize", settle);

// The player: its place in the video, also where a stretch of it is played, or single pictures.
class Player {
  constructor(root) {
    this.video = root.querySelector("video");
    this.image = root.querySelector(".player-still");
    this.told = root.querySelector("[data-player-note]");
    this.sources = [...root.querySelectorAll("source")];
    this.stretch = new URL(this.sources[1].src).pathname;
    this.start = Number(new URL(this.sources[1].src).searchParams.get("from"));
    this.sources[1].addEventListener("error", () => this.showPictures());
    this.video.addEventListener("loadedmetadata", () => this.looked());
    this.video.addEventListener("timeupdate", () => this.moved());
    this.video.addEventListener("seeked", () => this.moved());
    if (this.video.readyState) this.looked();
    // Both sources may have failed before this script ran. Between two of them there is none for a moment as well.
    let looks = 0;
    const look = setInterval(() => {
      looks = this.video.networkState === HTMLMediaElement.NETWORK_NO_SOURCE ? looks + 1 : 0;
      if (looks === 3 && this.image.hidden) this.showPictures();
      if (looks === 3 || this.video.readyState) clearInterval(look);
    }, 300);
  }

  get isStretch() { return this.video.currentSrc.includes("/stretch/"); }
  get time() { return this.image.hidden ? this.video.currentTime + (this.isStretch ? this.start : 0) : this.start; }

  looked() {
    if (!this.video.videoWidth && !this.isStretch) this.playStretch(this.start);  // it plays the sound alone
    if (this.isStretch) this.tell("The browser can't play this file. This is a stretch of 30 seconds of it, without sound.");
    this.moved();
  }

  tell(words) { this.told.textContent = words; this.told.hidden = false; }

  playStretch(seconds) {
    this.start = Math.max(0, seconds);
    this.video.src = `${this.stretch}?from=${this.start.toFixed(3)}`;
  }

  showPictures() {
    this.video.hidden = true;
    this.image.hidden = false;
    this.tell("The browser can't play this file. Choose a time to see its picture.");
    this.seek(this.start);
  }

  seek(seconds) {
    if (!this.image.hidden) {
      this.start = seconds;
      this.image.src = `${this.image.dataset.base}?t=${seconds.toFixed(3)}&sharp=1`;
      this.moved();
    } else if (!this.isStretch) this.video.currentTime = seconds;
    else if (seconds >= this.start && seconds < this.start + this.video.duration) this.video.currentTime = seconds - this.start;
    else this.playStretch(seconds);
  }

  play() { if (!still.matches && this.image.hidden) this.video.play().catch(() => {}); }

  moved() {
    for (const line of document.querySelectorAll(".playhead")) {
      const duration = Number(line.closest("[data-timeline]").dataset.timeline);
      const x = duration > 0 ? Math.min(1000, 1000 * this.time / duration) : 0;
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
      line.removeAttribute("visibility");
    }
  }
}

let player = null;

function prepare(root) {
  settle();
  const found = root.querySelector("[data-player]");
  if (found) player = new Player(found);
}

// A moment is played above the results, without leaving them.
async function show(address, isNew) {
  const answer = await fetch(address);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const stage = document.getElementById("stage");
  stage.replaceChildren(...page.getElementById("stage").childNodes);
  document.title = page.title;
  if (isNew) history.pushState(null, "", address);
  const current = new URL(address, location.href).searchParams.get("at");
  for (const link of document.querySelectorAll("a[data-play]")) {
    const isCurrent = current !== null && new URL(link.href).searchParams.get("at") === current;
    link.toggleAttribute("aria-current", isCurrent);
    if (isCurrent) link.setAttribute("aria-current", "true");
    link.closest(".card")?.classList.toggle("card-played", isCurrent);
  }
  player = null;
  prepare(stage);
  if (player) {
    stage.scrollIntoView({ block: "nearest", behavior: still.matches ? "auto" : "smooth" });
    if (isNew) player.play();
  }
}

function close() {
  const stage = document.getElementById("stage");
  if (!stage?.firstElementChild) return false;
  const played = document.querySelector(".card-played a");
  show(stage.dataset.close, true).then(() => played?.focus());
  return true;
}

addEventListener("popstate", () => {
  if (document.getElementById("stage")) show(location.href, false);
});

addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest("a");
  if (link?.matches("[data-play]")) {
    event.preventDefault();
    show(link.href, true);
  } else if (link?.matches("[data-close]")) {
    event.preventDefault();
    close();
  } else if (link?.matches("[data-seek]") && player) {
    event.preventDefault();
    player.seek(Number(link.dataset.seek));
    history.replaceState(null, "", link.href);
    player.video.scrollIntoView({ block: "nearest" });
  } else if (!link) {
    const chart = event.target.closest("svg")?.closest("[data-timeline]");
    if (!chart || !player) return;
    const box = event.target.closest("svg").getBoundingClientRect();
    player.seek(Number(chart.dataset.timeline) * Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)));
  }
});

addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey) return;
  const isWriting = event.target.matches("input, select, textarea");
  const ask = document.getElementById("q");
  if (event.key === "/" && !isWriting) {
    event.preventDefault();
    ask.focus();
    ask.select();
  } else if (event.key === "Escape") {
    if (isWriting) event.target.blur();
    else close();
  } else if (event.key.startsWith("Arrow") && !event.target.matches("video, select, [type=number], .shots")) {
    move(event, isWriting);
  }
});

// Arrows go from picture to picture; down leads from the question to the first one.
function move(event, isWriting) {
  const cards = [...document.querySelectorAll("[data-grid] .card-link")];
  if (!cards.length || (isWriting && event.key !== "ArrowDown")) return;
  const place = cards.indexOf(document.activeElement);
  const tops = cards.map((card) => card.getBoundingClientRect().top);
  const columns = Math.max(1, tops.filter((top) => Math.abs(top - tops[0]) < 2).length);
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  if (place < 0 && event.key !== "ArrowDown") return;
  const next = place < 0 ? 0 : place + steps[event.key];
  event.preventDefault();
  if (next < 0 && event.key === "ArrowUp") document.getElementById("q").focus();
  else cards[Math.min(next, cards.length - 1)]?.focus();
}

addEventListener("submit", () => document.body.classList.add("is-busy"));
addEventListener("pageshow", () => document.body.classList.remove("is-busy"));
prepare(document);

/** The networks and pictures that come with the page, and some of the hub. */

const at = (path) => new URL(path, import.meta.url).href;
const digit = (name) => ({ id: `digit_${name}`, url: at(`models/digits/digit_${name}.png`), alt: `A handwritten ${name}` });
const letter = (name) => ({ id: `letter_${name}`, url: at(`models/clutter/${name}.png`), alt: `Clutter with two ${name}` });
const photo = (id, alt) => ({ id, url: at(`pictures/${id}.jpg`), alt });

const PHOTOGRAPHS = [photo("chelsea", "A cat's face"), photo("coffee", "A cup of coffee on a table"), photo("rocket", "A rocket taking off")];
const PHOTOGRAPHS_CREDIT = "Photographs: Stefan van der Walt (CC0), Rachel Michetti (CC0), SpaceX (public domain).";

/** Networks that are part of the page. */
export const SHIPPED = [
  {
    id: "digits",
    name: "Handwritten digits, 0.6 MB",
    source: at("models/digits/"),
    about: "Comes with this page and reads one handwritten digit, bright on dark. It knows nothing else: for photographs take a network of the hub.",
    pictures: ["3", "8", "5", "0"].map(digit),
    credit: "Digits: E. Alpaydin and C. Kaynak, UCI Machine Learning Repository (CC BY 4.0), enlarged. None of these four was trained on.",
  },
  {
    id: "clutter",
    name: "Letters in clutter, 1.6 MB",
    source: at("models/clutter/"),
    about: "Comes with this page. One letter stands twice in the picture: which? Small things matter, so here merging costs something, and a fitted schedule costs less.",
    pictures: ["G", "R", "K", "Z"].map(letter),
    credit: "Pictures: drawn for this project (MIT OR Apache-2.0). None of these four was trained on.",
  },
];

/** Networks of the hub that are sure to be there and to be understood; sizes are of the download. */
export const HUB = [
  ["timm/deit_tiny_patch16_224.fb_in1k", "DeiT Ti/16, 23 MB"],
  ["timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k", "ViT Ti/16, 23 MB"],
  ["timm/vit_small_patch16_224.augreg_in21k_ft_in1k", "ViT S/16, 88 MB"],
  ["timm/vit_base_patch16_224.augreg2_in21k_ft_in1k", "ViT B/16, 346 MB"],
  ["facebook/dinov2-small", "DINOv2 S/14, 88 MB, features only"],
].map(([repository, name]) => ({ id: `hf-hub:${repository}`, name }));

const REPOSITORY = /^hf-hub:[\w.-]+\/[\w.-]+(@[\w./-]+)?$/;

/** Whether a name in a link can be a network's. */
export const isNetwork = (id) => SHIPPED.some((network) => network.id === id) || REPOSITORY.test(id);

/** The network of an id: a shipped one, or one of the hub. */
export function network(id) {
  const shipped = SHIPPED.find((network) => network.id === id);
  if (shipped) return shipped;
  const repository = id.replace(/^hf-hub:/, "");
  return foreign({ id, name: HUB.find((network) => network.id === id)?.name ?? repository, source: id, about: `${repository}, from the Hugging Face hub; kept by this browser for the next visit.` });
}

/** A network from files of a folder. */
export const folder = (files, name) => foreign({ id: "", name, source: files, about: `${name}, read from this computer.` });

const foreign = (network) => ({ ...network, pictures: PHOTOGRAPHS, credit: PHOTOGRAPHS_CREDIT });

const ALL_PICTURES = [...SHIPPED.flatMap((network) => network.pictures), ...PHOTOGRAPHS];

/** The shipped picture of an id. */
export const picture = (id) => ALL_PICTURES.find((picture) => picture.id === id);

"""The characters of the glyphs data set, as written by `python -m robustmeta.data.glyph_choice`.

A table and not a run-time choice, so that every machine has the same classes.
"""

#: split -> script -> hexadecimal code points, neighbours as `first-last`.
TABLE = {
    "test": {
        "Armenian": ("531-550 552-556 561 564 566 568-569 56d-56e 570-571 573-577 579-57c 57f 581 584 586 "),
        "Georgian": (
            "10a0-10b5 10b7-10b8 10ba-10c5 10d0-10d4 10d6-10dd 10df-10e7 10e9-10ed 10ef-10f6 10f8-10fa "
            "2d00-2d06 2d08 2d0a-2d0b 2d0e-2d10 2d12-2d13 2d16-2d19 2d1b-2d1d 2d1f 2d21-2d25 "
        ),
        "Hebrew": ("5d0-5d6 5d8 5da-5de 5e2-5e7 5e9-5ea 5f1-5f2 "),
        "Lao": ("e81-e82 e84 e87-e88 e8a e8d e94-e97 e99-e9e ea1 ea3 ea5 ea7 eaa-eab ead-eb0 eb2 ebd ec0-ec4 ed1-ed9 "),
        "Tifinagh": ("2d30-2d3f 2d41-2d4e 2d50 2d52-2d53 2d55-2d58 2d5a-2d5e 2d60-2d65 "),
    },
    "val": {
        "Arabic": (
            "621 629-62c 62e-637 639-63a 641-646 648-64a 660 662-664 66e-66f 679 67b-67d 681 688-68b "
            "68e 691-695 69a 69e 6a0-6a2 6a4-6a5 6a8-6aa 6ad-6af 6b2-6b4 6b7-6ba 6be 6c6-6c7 6ce 6d0 "
            "fb53-fb55 fb58 fb5d fb5f-fb61 fb64 fb67-fb69 fb6b-fb6d fb73-fb75 fb78-fb79 fb83 fb85 fb87 "
            "fb8b fb90-fb91 fb94-fb95 fb98 fb9b fb9f fba1 fbab-fbad fbd4-fbd5 fbd8 fbda fbe5 fbe8-fbe9 "
            "fbfd-fbff fe70-fe73 fe76-fe78 fe7b-fe7c fe84 fe88-fe8a fe90-fe91 fe94 fe96-fe98 fe9f-fea0 "
            "fea3-fea4 fea6-fea8 feaa feae feb0 feb2-feb4 feb6-feb8 febb febe-fec0 fec2 feca-fecc "
            "fece-fed0 fed2-fed3 fed6 fed8 feda fede fee2-fee4 fee6 feea feec feee fef2 fef5-fefc "
        ),
        "N'Ko": ("7c2-7c9 7cf-7d2 7d6 7d8 7dd 7df 7e2 7e4 "),
        "Ogham": ("1682-1685 1687-168a 168c-168f 1691 1697-1698 169a "),
    },
    "train": {
        "Latin": (
            "41 43 46 4b 4d-4e 52 57 5a 6b 79 c0 c6 c8 d0-d1 d9 dd-e0 e4-e8 eb ed ef f9 fd 104 106-107 "
            "10e-10f 118-119 11c-11d 122 124-125 136-137 144-146 14a 152 154-156 15a-15b 15d-15e 165 "
            "181 184 187 18a 191 193-194 19b 19d 1a2-1a7 1ad 1b3 1b6-1b8 1ba 1bd 1bf 1f6 21c 221-222 "
            "224 235-236 238 23a-23b 23e-243 246-247 24f 255 25a 25d 260 264 267 26e 271-272 277 27b "
            "27e 281-282 289 28d-28e 290-291 293 295-296 29b 29e 2a0-2a1 2a3-2ae 1d08 1d12 1d16 "
            "1d18-1d1a 1d1e 1d24 1d6b 1d7e-1d7f 1efa 2c60 2c63-2c6b 2c6e-2c6f 2c71-2c72 2c74 a724 a726 "
            "a728-a729 a72c a72e a732 a734 a736 a738-a739 a73c-a73d a73f a746 a750 a752-a753 a766 a768 "
            "a782 a786 a790 a7a0 a7a2-a7a8 a7aa a7fb a7fd a7ff "
        ),
        "Greek": ("372 37c 393 39e 3a8 3b1-3b2 3b6 3bb-3be 3c0 3c2-3c3 3cf 3d7-3d8 3da 3de-3e1 3fa "),
        "Cyrillic": (
            "402 404 409-40b 40f 414 426 429-42b 42d-42e 433 436 43c 452 460 462-464 466 468 46a 46c "
            "46e 470 474 478-479 47c 47e 480 48a 48d-48e 490 493 496 498 49b-49c 49e-4a0 4a4 4a6 4a8 "
            "4aa 4ad 4b1-4b2 4b4 4b6 4b8 4bc 4be 4c3 4c5 4c9 4cb 4cd 4f6 4fa 4fc 502 504 506 508 50b "
            "50e 512 514 516-518 520 522 524 1d2b a64c a650 a654 a656-a657 a662 a664 a666 a66e a68b "
            "a694 "
        ),
        "Coptic": ("3e2 3e6-3e7 3ee "),
        "Lisu": ("a4d5 a4d8 a4e7 "),
        "Old Italic": ("10300 10302 10304 1030a 1030c-1030e 10310-10311 10315-10316 10319 1031d "),
        "Canadian Aboriginal": (
            "1401-1402 1405-1406 140a-1415 1417-141a 141f-1420 142b-142e 1430 1432 1435 1437-1447 144d "
            "144f 1451 1457 1459-1465 1467 1469 146c 146e 1470-1471 1473-1474 1476-1482 1485-1486 1488 "
            "148a 148c 1492-14a0 14a6 14ac-14ba 14c0-14c3 14c5 14c8-14c9 14cc-14ce 14d3-14d6 14d8 "
            "14da-14db 14dd-14de 14e0 14e2-14e9 14ec 14ee-14f1 14f3 14f5-14fb 14fd 1500-1504 1510-1514 "
            "1516-1524 1526-153d 1542-154c 154e-154f 1552-1556 1558-155c 1566-1567 1574-157a 157e-1585 "
            "158a-1596 15a0 15a2-15a5 15a7-15aa 15ac 1647 166f-1676 "
        ),
        "Braille": (
            "2805 2809-280f 2811 2813 2817 2819-281f 2821 2823 2825 2827 2829-282c 282e-282f 2831 2833 "
            "2835 2837 2839-283f "
        ),
    },
}


def classes(split: str) -> list[tuple[str, int]]:
    """The classes of a split in their fixed order, each as (script, code point)."""
    found = []
    for script, runs in TABLE[split].items():
        for run in runs.split():
            first, _, last = run.partition("-")
            found += [(script, point) for point in range(int(first, 16), int(last or first, 16) + 1)]
    return found

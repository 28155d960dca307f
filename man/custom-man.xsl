<?xml version='1.0'?>
<!-- SPDX-License-Identifier: LGPL-2.1-or-later -->
<!-- From DocBook to manual pages: docbook-xsl's stylesheet with the settings of this project. The address is looked up in
     the XML catalog of the machine (package docbook-xsl); nothing is fetched. -->
<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0">
  <xsl:import href="http://docbook.sourceforge.net/release/xsl/current/manpages/docbook.xsl"/>

  <xsl:param name="arbiter.version"/>

  <xsl:param name="man.output.quietly" select="1"/>
  <xsl:param name="refentry.meta.get.quietly" select="1"/>
  <xsl:param name="funcsynopsis.style" select="'ansi'"/>
  <xsl:param name="man.authors.section.enabled" select="0"/>
  <xsl:param name="man.copyright.section.enabled" select="0"/>
  <xsl:param name="man.endnotes.are.numbered" select="0"/>
  <xsl:param name="man.hyphenate" select="0"/>
  <xsl:param name="man.justify" select="0"/>
  <xsl:param name="man.th.title.max.length" select="40"/>
  <xsl:param name="man.segtitle.suppress" select="1"/>
  <xsl:param name="variablelist.term.separator" select="''"/>
  <xsl:param name="variablelist.term.break.after" select="1"/>

  <!-- What the head and the foot of a page say. -->
  <xsl:template name="get.refentry.version"><xsl:value-of select="concat('arbiter ', $arbiter.version)"/></xsl:template>
  <xsl:template name="get.refentry.source"><xsl:value-of select="concat('arbiter ', $arbiter.version)"/></xsl:template>
  <xsl:template name="get.refentry.manual"/>
  <xsl:template name="get.refentry.date"/>

  <!-- A prototype whose parameters hang under its bracket, as elsewhere, but no further to the right than long names leave
       room for on 80 columns. -->
  <xsl:template match="funcprototype">
    <xsl:variable name="head"><xsl:apply-templates select="funcdef"/></xsl:variable>
    <xsl:variable name="words" select="normalize-space(funcdef)"/>
    <xsl:text>.HP </xsl:text>
    <xsl:choose>
      <xsl:when test="string-length($words) &gt; 40">4n</xsl:when>
      <xsl:when test="string-length($words) &gt; 32">8n</xsl:when>
      <xsl:otherwise><xsl:value-of select="concat(string-length($words) + 1, 'n')"/></xsl:otherwise>
    </xsl:choose>
    <xsl:text>&#10;.BI "</xsl:text>
    <xsl:value-of select="normalize-space($head)"/>
    <xsl:text>(</xsl:text>
    <xsl:apply-templates select="*[local-name() != 'funcdef']" mode="ansi"/>
    <xsl:text>"&#10;</xsl:text>
  </xsl:template>
</xsl:stylesheet>
